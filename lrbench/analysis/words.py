"""The answer in words, and what the run could have found: honest about ties, failures, one seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lrbench.analysis.names import short
from lrbench.analysis.pairs import mean_interval
from lrbench.analysis.power import Power
from lrbench.analysis.question import MetricName, Question, is_accuracy
from lrbench.analysis.standing import Standing

MOST_NAMED = 3


def listed(words: Sequence[str]) -> str:
    """
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def seeds_text(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"


def amount(value: float, metric: str) -> str:
    """A value of the metric: per cent of an accuracy, else the number.

    >>> amount(0.9712, "test_accuracy"), amount(0.08123, "val_loss")
    ('97.12 %', '0.0812')
    """
    return f"{100 * value:.2f} %" if is_accuracy(metric) else f"{value:.3g}"


def margin(value: float, half: float | None, metric: str) -> str:
    """A difference with the half-width of its interval, to the digits that the width allows.

    >>> margin(0.0093, 0.0031, "test_accuracy"), margin(0.5, None, "test_loss")
    ('0.9 ± 0.3 points', '0.5 in test loss')
    """
    scale, unit = (100, "points") if is_accuracy(metric) else (1, f"in {metric.replace('_', ' ')}")
    sizes = [scale * abs(x) for x in (value, half) if x is not None and math.isfinite(x) and x]
    most = 2 if unit == "points" else 6
    digits = min(most, max((_digits(size) for size in sizes), default=1))
    text = f"{scale * value:.{digits}f}"
    if half is not None and math.isfinite(half):
        text += f" ± {scale * half:.{digits}f}"
    return f"{text} {unit}"


def _digits(size: float) -> int:
    """Decimals that show one significant digit, and at least one decimal."""
    return max(1, -math.floor(math.log10(size)))


def verdict(gain: float, p: float, alpha: float) -> str | None:
    """`better`, `worse` or `tie`; None where there was no test.

    >>> verdict(0.1, 0.01, 0.05), verdict(-0.1, 0.2, 0.05)
    ('better', 'tie')
    """
    if math.isnan(p):
        return None
    if p >= alpha:
        return "tie"
    return "better" if gain > 0 else "worse"


def sentence(found: Sequence[Standing], question: Question) -> str:
    """The answer to the question, one part for each budget and batch size."""
    if not found:
        return "no final trial has ended yet"
    if len(found) == 1:
        return _answer(found[0], question)
    return "; ".join(f"{where(s, found)}: {_answer(s, question)}" for s in found)


def where(standing: Standing, found: Sequence[Standing]) -> str:
    """Which of several standings: by its budget, its batch size, or both."""
    parts = []
    if len({each.budget for each in found}) > 1:
        parts.append(f"for {standing.budget} epoch{'s' * (standing.budget > 1)}")
    if len({each.batch_size for each in found}) > 1:
        parts.append(f"with batch {standing.batch_size}")
    return " ".join(parts)


def _answer(standing: Standing, question: Question) -> str:
    count = int(np.isfinite(standing.values).sum(axis=0).max(initial=0))
    parts = [_verdict(standing, question, count), *_equals(standing), _failures(standing)]
    return "; ".join(part for part in parts if part)


def _verdict(standing: Standing, question: Question, count: int) -> str:
    if not standing.groups:
        return _without_groups(standing, question, count)
    if len(standing.groups) == 1:
        return _all_tied(standing, count)
    leaders, others = standing.groups[0], [n for group in standing.groups[1:] for n in group]
    if len(leaders) == 1:
        return (
            f"{short(leaders[0])} beats {_beaten(standing, leaders, others)} ({seeds_text(count)})"
        )
    beaten_by_all = [name for name in others if _all_beat(standing, leaders, name, question.alpha)]
    who = "both" if len(leaders) == 2 else "all of them"
    if beaten_by_all != others:
        who, by = short(leaders[0]), leaders[:1]
    else:
        by = leaders
    verb = "beats" if by == leaders[:1] else "beat"
    return (
        f"{_together(leaders)} cannot be told apart; {who} {verb} "
        f"{_beaten(standing, by, others)} ({seeds_text(count)})"
    )


def _together(names: Sequence[str]) -> str:
    if len(names) <= 2 * MOST_NAMED:
        return listed([short(name) for name in names])
    return f"{short(names[0])} and {len(names) - 1} others"


def _all_beat(standing: Standing, leaders: Sequence[str], name: str, alpha: float) -> bool:
    place = standing.names.index(name)
    return all(standing.adjusted[standing.names.index(x), place] < alpha for x in leaders)


def _beaten(standing: Standing, leaders: Sequence[str], others: Sequence[str]) -> str:
    """Whom, and by how much: the paired difference of the leaders' mean to each of them."""
    amounts = [_gain(standing, leaders, name) for name in others]
    if len(others) > MOST_NAMED:
        near, far = others[0], others[-1]
        return (
            f"the other {len(others)}, from {short(near)} by {amounts[0]} "
            f"to {short(far)} by {amounts[-1]}"
        )
    named = zip(others, amounts, strict=True)
    return listed([f"{short(name)} by {amount_}" for name, amount_ in named])


def _gain(standing: Standing, leaders: Sequence[str], name: str) -> str:
    places = [standing.names.index(leader) for leader in leaders]
    differences = (
        standing.values[:, places].mean(axis=1) - standing.values[:, standing.names.index(name)]
    )
    mean, _, half = mean_interval(differences, standing.floor, standing.confidence)
    return margin(abs(mean), half, standing.metric)


def _all_tied(standing: Standing, count: int) -> str:
    names = standing.groups[0]
    if len(names) == 2:
        first, second = (standing.names.index(name) for name in names)
        if standing.pairs.equal[first, second]:
            return ""
        mean = abs(float(standing.pairs.mean[first, second]))
        gap = margin(mean, float(standing.pairs.half[first, second]), standing.metric)
        return f"{_together(names)} cannot be told apart (difference {gap}, {seeds_text(count)})"
    places = [standing.names.index(name) for name in names]
    if standing.pairs.equal[np.ix_(places, places)][~np.eye(len(places), dtype=bool)].all():
        return ""
    return (
        f"no schedule can be told apart from {short(names[0])}: {_spread(standing, names, count)}"
    )


def _spread(standing: Standing, names: Sequence[str], count: int) -> str:
    """How far the means of a tie lie apart."""
    means = [float(np.nanmean(standing.values[:, standing.names.index(name)])) for name in names]
    span = margin(max(means) - min(means), None, standing.metric)
    return f"{len(names)} schedules within {span} are a tie ({seeds_text(count)})"


def _without_groups(standing: Standing, question: Question, count: int) -> str:
    """One schedule, one seed, or nothing that ended well."""
    sound = [place for place in range(len(standing.names)) if not standing.failed[place]]
    if count == 0:
        return "no final trial ended well"
    best = short(standing.names[0])
    words = standing.metric.replace("_", " ")
    if not sound:
        return "no schedule finished all its seeds, so none is ahead"
    mean, _, half = mean_interval(standing.values[:, sound[0]], standing.floor, standing.confidence)
    value = amount(mean, standing.metric)
    if count == 1:
        tail = "one seed cannot tell schedules apart" if len(standing.names) > 1 else "one seed"
        return f"{best} reached {value} {words} ({tail})"
    spread = f" (± {margin(half, None, standing.metric)}, {seeds_text(count)})"
    others = " and is the only schedule without a failed seed" if len(standing.names) > 1 else ""
    return f"{best} reached {value} {words}{spread}{others}"


def _equals(standing: Standing) -> list[str]:
    """Names of one curve: schedules that agree in every seed."""
    told: set[int] = set()
    parts = []
    for place, name in enumerate(standing.names):
        same = [
            other
            for other in range(place + 1, len(standing.names))
            if standing.pairs.equal[place, other] and other not in told
        ]
        if same and place not in told:
            told.update(same)
            names = [short(name), *(short(standing.names[other]) for other in same)]
            count = int(standing.pairs.n[place, same[0]])
            parts.append(f"{listed(names)} are exactly equal in all {count} seeds")
    return parts


def _failures(standing: Standing) -> str:
    bad = [place for place in range(len(standing.names)) if standing.failed[place]]
    if not bad:
        return ""
    parts = []
    for place in bad[:MOST_NAMED]:
        count = int(standing.failed[place])
        of = count + int(np.isfinite(standing.values[:, place]).sum())
        parts.append(f"{short(standing.names[place])} failed in {count} of {seeds_text(of)}")
    more = [f"so did {len(bad) - MOST_NAMED} more"] if len(bad) > MOST_NAMED else []
    rank = " and ranks last" if len(bad) == 1 and len(standing.names) > 1 else ""
    return listed([*parts, *more]) + rank


def power_sentence(power: Power, metric: MetricName) -> str:
    """What the run could have found, and how many seeds the observed difference needs."""
    pairs = "1 pair" if power.tests == 1 else f"{power.tests} pairs"
    parts = []
    if power.detectable is not None:
        found = margin(power.detectable, None, metric)
        hopeless = is_accuracy(metric) and power.detectable > 1
        size = "no difference at all" if hopeless else f"differences of {found}"
        parts.append(
            f"with {seeds_text(power.n)} and {pairs}, this run finds {size} in 4 of 5 cases"
        )
    if power.observed and math.isfinite(power.observed):
        seen = margin(power.observed, None, metric)
        need = f"about {power.needed} seeds" if power.needed else "more seeds than anybody has"
        parts.append(
            f"the {seen} between {short(power.first)} and {short(power.second)} would need {need}"
        )
    return "; ".join(parts)
