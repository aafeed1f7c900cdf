"""The answer in words: which schedule to use, and how sure that is."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
from pandas import DataFrame

from lrbench.analysis.amounts import amount, at_most, margin
from lrbench.analysis.evidence import detectable_range, image_error
from lrbench.analysis.intervals import rate_bound
from lrbench.analysis.names import short
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.racing import Race
from lrbench.analysis.standing import Standing

MOST_NAMED = 3
TOO_WIDE = 0.02  # of accuracy, or of a mean loss: differences too large to ignore


def listed(words: Sequence[str]) -> str:
    """
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def few(words: Sequence[str], kind: str) -> str:
    """All names, or how many of a kind there are."""
    return listed(words) if len(words) <= MOST_NAMED else f"{len(words)} {kind}"


def seeds_text(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"


def difference(standing: Standing, one: int, other: int) -> str:
    """By how much one is better than the other, with the interval that accounts for all pairs."""
    sign, intervals = standing.verdicts.direction, standing.verdicts.intervals
    ends = sorted(sign * float(part[one, other]) for part in (intervals.low, intervals.high))
    mean = sign * float(standing.verdicts.pairs.mean[one, other])
    if math.isclose(mean - ends[0], ends[1] - mean, rel_tol=1e-6, abs_tol=1e-12):
        return margin(mean, ends[1] - mean, standing.metric)
    scale = 100 if is_accuracy(standing.metric) else 1
    low, high = (scale * end + 0.0 for end in ends)  # -0.0 is 0
    low, high = (float(f"{end:.2g}") for end in (low, high))  # 100, not 1e+02
    return f"{margin(mean, None, standing.metric)} ({low:g} to {high:g})"


def sentence(found: Sequence[Standing], reference: str = "", *, beyond: bool = False) -> str:
    """The answer to the question, one sentence for each budget and batch size. `reference` adds
    what the comparison with a reference shows, for the first; `beyond` says that better LRs may lie
    outside the grid."""
    if not found:
        return "No final trial has ended yet."
    said = [_answer(found[0], reference, beyond=beyond), *map(_answer, found[1:])]
    if len(found) > 1:
        places = (where(each, found).capitalize() for each in found)
        said = [f"{place}: {text}" for place, text in zip(places, said, strict=True)]
    return " ".join([*said, reference]).rstrip()


def where(standing: Standing, found: Sequence[Standing]) -> str:
    """Which of several standings this is: its budget, its batch size, or both."""
    parts = []
    if len({each.budget for each in found}) > 1:
        parts.append(f"for {standing.budget} epoch{'s' * (standing.budget > 1)}")
    if len({each.batch_size for each in found}) > 1:
        parts.append(f"with batch {standing.batch_size}")
    return " ".join(parts)


def _answer(standing: Standing, reference: str = "", *, beyond: bool = False) -> str:
    """The decision: use this schedule; or any of them; or none, because too little is known."""
    if standing.best is None:
        return f"No final training ended well: {losses(standing)}."
    seeds, best = _how(standing), _at(standing, 0) + "," * bool(standing.edges[0])
    if len(standing.names) == 1:
        return f"{best} reached {_value(standing, 0)} ({seeds}){_caveat(standing, 0)}."
    if not standing.verdicts.tests:
        course = standing.verdicts.race
        why = "one seed cannot tell schedules apart"
        if course is not None and not course.looked:
            why = f"they are compared after {course.next_seeds} seeds each"
        elif standing.counts[0] > 1:
            why = "no other ended well in two seeds"
        value = _value(standing, 0)
        return f"Best so far is {best} with {value}, but {why} ({seeds}){_caveat(standing, 0)}."
    if standing.apart:
        said = _use(standing, seeds)
    elif reference:
        said = f"No two are told apart over all pairs: {_possible(standing, seeds)}"
    else:
        said = _tie(standing, seeds, beyond=beyond and bool(standing.edges[0]))
    parts = [said, *_same(standing), *_equal(standing)]
    if standing.apart and not standing.verdicts.better[0].any():
        parts.append(f"told apart: {told_apart(standing)}")
    return "; ".join(parts) + "."


def _how(standing: Standing) -> str:
    """How many seeds the answer rests on and, if there were earlier looks, how many."""
    seeds, course = seeds_text(int(standing.counts[0])), standing.verdicts.race
    if course is None or not course.looked:
        return seeds
    looks, stopped = course.looks, course.stopped.tolist()
    parts = [f"{seeds}, look {course.looked} of {len(looks.seeds)}"]
    left = {n: _names(standing, np.flatnonzero(course.stopped == n)) for n in sorted({*stopped})}
    gone = [
        f"{few(names, 'others')} stopped at {n}"
        for n, names in left.items()
        if 0 < n < course.seeds
    ]
    parts += [", ".join(gone)] * bool(gone)
    if looks.race:
        trained = int((standing.counts + standing.lost).sum())
        parts.append(f"{trained} of {len(standing.names) * looks.seeds[-1]} trainings")
    every = standing.verdicts.tests == math.comb(len(standing.names), 2)
    pairs = "all pairs" if every else "all pairs tested"
    return "; ".join(
        [*parts, f"error rate {100 * standing.verdicts.alpha:.3g} % over {pairs} and looks"]
    )


def _equal(standing: Standing) -> Iterator[str]:
    """The pairs shown to differ by less than the margin, if one was named."""
    verdicts = standing.verdicts
    if verdicts.equal is None or verdicts.margin is None:
        return
    within = f"within {margin(verdicts.margin, None, standing.metric)}"
    pairs = np.argwhere(np.triu(verdicts.equal, 1)).tolist()
    named = [" and ".join(_names(standing, pair)) for pair in pairs]
    if len(named) > MOST_NAMED:
        named[MOST_NAMED:] = [f"{len(named) - MOST_NAMED} more pairs"]
    yield (
        f"equal to {within}: {', '.join(named)}"
        if named
        else f"no two are shown to be equal to {within}"
    )


def ranked(standing: Standing) -> str:
    """The schedules in order, with their values: "cosine 97.1 %, step 96.8 %"."""
    names = enumerate(standing.names)
    return ", ".join(f"{short(name)} {_value(standing, place)}" for place, name in names)


def _names(standing: Standing, places: Iterable[int]) -> list[str]:
    return [short(standing.names[place]) for place in places]


def _at(standing: Standing, place: int) -> str:
    edge = f", the {standing.edges[place]}est of its grid" if standing.edges[place] else ""
    name = short(standing.names[place])
    return name if " @ " in name else f"{name} at LR {standing.lrs[place]:.3g}{edge}"


def _value(standing: Standing, place: int) -> str:
    return amount(float(np.nanmean(standing.values[:, place])), standing.metric)


def _caveat(standing: Standing, place: int) -> str:
    return f"; but {losses(standing, [place])}" if standing.lost[place] else ""


def _use(standing: Standing, seeds: str) -> str:
    better, tested = standing.verdicts.better[0], np.isfinite(standing.verdicts.adjusted[0])
    open_, behind = (np.flatnonzero(found).tolist() for found in (tested & ~better, better))
    parts = [f"Use {_at(standing, 0)}: {_value(standing, 0)}"]
    if open_:
        widest = float(np.nanmax(standing.verdicts.intervals.within[0, open_]))
        known = 0 < widest < (1 if is_accuracy(standing.metric) else math.inf)
        most = f" (at most {at_most(widest, standing.metric)} apart)" if known else ""
        parts.append(f"not told apart from {few(_names(standing, open_), 'others')}{most}")
    if behind:
        parts.append(f"better than {_beaten(standing, behind)}")
    said = f"{', '.join(parts)} ({seeds}){_caveat(standing, 0)}"
    safe = [i for i in open_ if not standing.lost[i]] if standing.lost[0] else []
    if safe:
        return f"{said}, {short(standing.names[safe[0]])} lost none"
    simplest = _simplest(standing, [0, *open_])
    return f"{said}; simplest of these: {short(standing.names[simplest])}" if simplest else said


def _beaten(standing: Standing, behind: Sequence[int]) -> str:
    gaps = [f"{short(standing.names[i])} by {difference(standing, 0, i)}" for i in behind]
    if len(gaps) <= MOST_NAMED:
        return listed(gaps)
    every = "all " * (len(gaps) == len(standing.names) - 1)
    return f"{every}{len(gaps)} others, from {gaps[0]} to {gaps[-1]}"


def _tie(standing: Standing, seeds: str, *, beyond: bool) -> str:
    """No pair is told apart: the simplest schedule will do, unless the run is too noisy to say so,
    or a better LR may lie outside the grid."""
    size = 1.0 if is_accuracy(standing.metric) else abs(float(np.nanmean(standing.values[:, 0])))
    possible = _possible(standing, seeds)
    wide = not _widest(standing) <= TOO_WIDE * size
    if wide or beyond:
        why = (
            "Too noisy to choose" if wide else "Not decided, as a better LR may not have been tried"
        )
        best = f"{_at(standing, 0)}: {_value(standing, 0)}{_caveat(standing, 0)}"
        return f"{why}: {possible}; best so far is {best}"
    place = _simplest(standing, range(len(standing.names)))
    simplest = f"{_at(standing, place)} ({_value(standing, place)})"
    return f"Any of these will do; simplest: {simplest}; {possible}{_caveat(standing, place)}"


def _widest(standing: Standing) -> float:
    widest = float(np.nanmax(standing.verdicts.intervals.within, initial=0.0))
    return min(widest, 1.0) if is_accuracy(standing.metric) else widest


def _possible(standing: Standing, seeds: str) -> str:
    most = at_most(_widest(standing), standing.metric)
    return f"differences up to {most} are possible ({seeds})"


def _simplest(standing: Standing, places: Iterable[int]) -> int:
    """The first schedule with the fewest, in order: missing seeds, lost seeds, phases, letters."""

    def effort(place: int) -> tuple[bool, int, bool, int, int]:
        name = standing.names[place]
        few, shape = bool(standing.counts[place] < 2), name.partition(" @ ")[0]
        return few, int(standing.lost[place]), shape != "constant", name.count("+"), len(name)

    return min(places, key=effort)


def against(rows: DataFrame, standing: Standing) -> str:
    """What the comparison with a reference adds to that of all pairs."""
    better, mine, parts = standing.verdicts.better, standing.part(rows), []
    base = mine["reference"].iloc[0] if len(mine) else ""
    for verdict in ("better", "worse"):
        places = map(standing.names.index, mine.loc[mine["verdict"] == verdict, "schedule"])
        at = standing.names.index(base) if base else 0
        names = _names(standing, (i for i in places if not (better | better.T)[i, at]))
        if names:
            parts.append(f"{listed(names)} {'are' if len(names) > 1 else 'is'} {verdict}")
    return f"Against {short(base)} alone, as named beforehand, {listed(parts)}." if parts else ""


def told_apart(standing: Standing) -> str:
    """The pairs told apart: "cosine better than step and constant; …"."""
    return "; ".join(
        f"{short(name)} better than {listed([*map(short, worse)])}"
        for name, worse in standing.apart
    )


def _same(standing: Standing) -> Iterator[str]:
    """Names of schedules with the same curve: those that agree in every seed."""
    pairs, named = standing.verdicts.pairs, set[int]()
    for place, row in enumerate(np.triu(pairs.equal, 1)):
        same = np.flatnonzero(row).tolist()
        if same and place not in named:
            named.update(same)
            names = listed(_names(standing, [place, *same]))
            yield f"{names} are exactly equal in all {int(pairs.n[place, same[0]])} seeds"


def losses(standing: Standing, places: Sequence[int] = ()) -> str:
    """How many seeds of these schedules, or of all, failed or ended at chance, with rate bounds."""
    alike = dict[str, list[str]]()
    for place in places or np.flatnonzero(standing.lost).tolist():
        ended = {"failed": standing.failed[place], "at chance": standing.collapsed[place]}
        lost, well = int(standing.lost[place]), int(standing.counts[place])
        most = rate_bound(lost, lost + well, standing.confidence)
        how = listed([f"{count} {end}" for end, count in ended.items() if count])
        rate = f" (a rate of up to {100 * most:.0f} %)" if well else ""
        said = f"lost {lost} of {seeds_text(lost + well)}: {how}{rate}"
        alike.setdefault(said, []).append(short(standing.names[place], 40))
    parts = [
        f"{few(names, 'schedules')} {'each ' * (len(names) > 1)}{said}"
        for said, names in alike.items()
    ]
    if more := sum(map(len, [*alike.values()][MOST_NAMED:])):
        parts[MOST_NAMED:] = [f"{more} more schedules lost seeds"]
    return listed(parts)


def certainty(standing: Standing, studies: int = 1, tuned: bool = True) -> str:
    """How sure the answer is: what the intervals cover, and which differences are detectable."""
    verdicts, course = standing.verdicts, standing.verdicts.race
    if not verdicts.tests:
        return ""
    pairs = "1 pair" if verdicts.tests == 1 else f"all {verdicts.tests} pairs together"
    looks = "" if course is None else " and all looks"
    others = "other test images" if standing.images else "other test data"
    others = "another text" if standing.metric.endswith("bits") else others
    tuning = ", nor another tuning of the LRs" + " (--studies 3)" * (studies == 1)
    said = (
        f"Intervals of differences are at {100 * standing.confidence:g} % for {pairs}{looks} and "
        f"cover other seeds, not {others}{_images(standing)}{tuning * tuned}."
    )
    return f"{said} {_found(standing) if course is None else _earlier(course)}".rstrip()


def _earlier(course: Race) -> str:
    """What a run that grew says about its looks."""
    before = course.looks.seeds[: course.looked - 1]
    if course.looks.race or not before:
        return ""
    return (
        f"This run was compared before, after {listed([str(n) for n in before])} seeds. Looking "
        f"again may mislead, and {100 * course.looks.shares[len(before) - 1]:.0f} % of the error "
        "rate is used up: this time only clearer differences count, and a close verdict may be "
        "taken back."
    )


def _images(standing: Standing) -> str:
    if standing.images is None or not is_accuracy(standing.metric):
        return ""
    errors = (1 - np.nanmean(standing.values[:, standing.counts > 0], axis=0)).tolist()
    size = max(image_error(a, b, standing.images) for a, b in combinations(errors, 2))
    error = margin(size, None, standing.metric)
    return (
        f" (another {standing.images:,} would move a difference by a standard error of up to "
        f"{error})"
    )


def _found(standing: Standing) -> str:
    """Which differences the run detects reliably."""
    pairs, upper = standing.verdicts.pairs, np.triu_indices(len(standing.names), 1)
    n = int(np.median(pairs.n[upper][pairs.n[upper] >= 2]))
    sds = np.maximum(pairs.sd, standing.floor)[upper]
    found = detectable_range(sds, n, standing.verdicts.level)
    if found is None:
        return ""
    largest = 1 if is_accuracy(standing.metric) else math.inf
    if not found[0] <= largest:
        return "The run is too noisy: no difference could be detected reliably (80 % power)."
    low, high = (margin(end, None, standing.metric) for end in found)
    up_to = f"{low.split()[0]} to {high}" if found[1] <= largest else f"{low} or more"
    span = low if low == high else f"{up_to}, depending on the pair"
    return f"With {seeds_text(n)} it reliably detects differences of {span} (80 % power)."
