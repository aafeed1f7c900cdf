"""The answer in words, and what the run could have shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from lrbench.analysis.names import short
from lrbench.analysis.pairs import mean_interval
from lrbench.analysis.power import Power
from lrbench.analysis.question import MetricName, is_accuracy
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


def sentence(found: Sequence[Standing]) -> str:
    """The answer to the question, one part for each budget and batch size."""
    if not found:
        return "no final trial has ended yet"
    if len(found) == 1:
        return _answer(found[0])
    return "; ".join(f"{where(s, found)}: {_answer(s)}" for s in found)


def where(standing: Standing, found: Sequence[Standing]) -> str:
    """Which of several standings: by its budget, its batch size, or both."""
    parts = []
    if len({each.budget for each in found}) > 1:
        parts.append(f"for {standing.budget} epoch{'s' * (standing.budget > 1)}")
    if len({each.batch_size for each in found}) > 1:
        parts.append(f"with batch {standing.batch_size}")
    return " ".join(parts)


def _answer(standing: Standing) -> str:
    parts = [_verdict(standing), *_equals(standing), _failures(standing)]
    return "; ".join(part for part in parts if part)


def _verdict(standing: Standing) -> str:
    verdicts, count = standing.verdicts, standing.seeds
    if not verdicts.groups:
        return _without_groups(standing)
    if len(verdicts.groups) == 1:
        return _all_tied(standing)
    leaders, *behind = verdicts.groups
    others = [place for group in behind for place in group]
    if standing.winner is not None:
        beaten = _beaten(standing, leaders, others)
        return f"{short(standing.winner)} beats {beaten} ({seeds_text(count)})"
    all_beat = all(verdicts.apart(leader, other) for leader in leaders for other in others)
    if all_beat:
        by, who = leaders, "both beat" if len(leaders) == 2 else "all of them beat"
    else:
        by, who = leaders[:1], f"{short(standing.names[leaders[0]])} beats"
    return (
        f"{_together(standing.groups[0])} cannot be told apart; {who} "
        f"{_beaten(standing, by, others)} ({seeds_text(count)})"
    )


def _together(names: Sequence[str]) -> str:
    if len(names) <= 2 * MOST_NAMED:
        return listed([short(name) for name in names])
    return f"{short(names[0])} and {len(names) - 1} others"


def _beaten(standing: Standing, leaders: Sequence[int], others: Sequence[int]) -> str:
    """Whom, and by how much: the paired difference of the leaders' mean to each of them."""
    named = [f"{short(standing.names[i])} by {_gain(standing, leaders, i)}" for i in others]
    if len(others) > MOST_NAMED:
        return f"the other {len(others)}, from {named[0]} to {named[-1]}"
    return listed(named)


def _gain(standing: Standing, leaders: Sequence[int], other: int) -> str:
    differences = standing.values[:, list(leaders)].mean(axis=1) - standing.values[:, other]
    mean, _, half = mean_interval(differences, standing.floor, standing.confidence)
    return margin(abs(mean), half, standing.metric)


def _all_tied(standing: Standing) -> str:
    """One group; empty where its schedules are exactly equal, which is said elsewhere."""
    pairs, places = standing.verdicts.pairs, standing.verdicts.groups[0]
    if all(pairs.equal[one, other] for one, other in combinations(places, 2)):
        return ""
    seeds = seeds_text(standing.seeds)
    if len(places) == 2:
        mean, half = (float(part[places]) for part in (pairs.mean, pairs.half))
        gap = margin(abs(mean), half, standing.metric)
        return f"{_together(standing.groups[0])} cannot be told apart (difference {gap}, {seeds})"
    means = [float(np.nanmean(standing.values[:, place])) for place in places]
    span = margin(max(means) - min(means), None, standing.metric)
    return (
        f"no schedule can be told apart from {short(standing.names[places[0]])}: "
        f"{len(places)} schedules within {span} are a tie ({seeds})"
    )


def _without_groups(standing: Standing) -> str:
    """One schedule, one seed, or nothing that ended well."""
    count = standing.seeds
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
    named: set[int] = set()
    parts = []
    for place, name in enumerate(standing.names):
        same = [
            other
            for other in range(place + 1, len(standing.names))
            if standing.verdicts.pairs.equal[place, other] and other not in named
        ]
        if same and place not in named:
            named.update(same)
            names = [short(name), *(short(standing.names[other]) for other in same)]
            count = int(standing.verdicts.pairs.n[place, same[0]])
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
    """What the run could have detected, and how many seeds the observed difference needs."""
    pairs = "1 pair" if power.tests == 1 else f"{power.tests} pairs"
    parts = []
    if power.detectable is not None:
        found = margin(power.detectable, None, metric)
        said = f"reliably detects only {found} or more"
        if is_accuracy(metric) and power.detectable > 1:
            said = "is too noisy: no difference could be detected reliably"
        parts.append(f"with {seeds_text(power.n)} and {pairs}, this run {said} (80 % power)")
    if power.observed and math.isfinite(power.observed):
        seen = margin(power.observed, None, metric)
        need = f"about {power.needed} seeds" if power.needed else "more than 100,000 seeds"
        parts.append(
            f"confirming the {seen} between {short(power.first)} and {short(power.second)} "
            f"takes {need}"
        )
    return "; ".join(parts)
