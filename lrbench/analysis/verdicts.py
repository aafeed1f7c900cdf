"""What is claimed about differences: every decision of the statistics is made here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lrbench.analysis.pairs import Bools, Floats, Pairs, compare_pairs


@dataclass(frozen=True, eq=False)
class Verdicts:
    """The verdicts on one standing, by the places of its schedules, best first.

    `pairs` are the paired statistics, `adjusted` their p-values after Holm over all pairs of sound
    schedules (NaN: no test), k x k. `letters` are the groups, best first; empty for a schedule that
    was not tested, and for all where fewer than two were.
    """

    pairs: Pairs
    adjusted: Floats
    letters: tuple[str, ...]
    alpha: float

    @property
    def tests(self) -> int:
        """How many pairs the correction is for."""
        return int(np.isfinite(self.adjusted).sum()) // 2

    @property
    def level(self) -> float:
        """The level at which the smallest p-value is tested."""
        return self.alpha / max(1, self.tests)

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The places that share a letter, best group first."""
        found: dict[str, list[int]] = {}
        for place, letter in enumerate(self.letters):
            if letter:
                found.setdefault(letter, []).append(place)
        return tuple(map(tuple, found.values()))

    def apart(self, one: int, other: int) -> bool:
        """Whether the two are told apart; no test (too few common seeds) is no difference."""
        return bool(self.adjusted[one, other] < self.alpha)


def judge(values: Floats, failed: Bools, floor: float, alpha: float) -> Verdicts:
    """The verdicts on `values` (seeds x schedules, NaN where missing), best schedule first;
    schedules with `failed` seeds are not tested."""
    pairs = compare_pairs(values, floor, 1 - alpha)
    sound = ~failed
    adjusted = holm_all_pairs(np.where(sound[:, None] & sound[None, :], pairs.p, np.nan))
    judged = sound & (np.isfinite(values).sum(axis=0) >= 2)
    return Verdicts(pairs, adjusted, _letters(adjusted, judged, alpha), alpha)


def holm(p: Floats) -> Floats:
    """p-values corrected for having looked at all of them (Holm 1979): the i-th smallest of m is
    multiplied by m - i + 1, and none may be below one before it. NaN is no test and stays NaN.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def holm_all_pairs(p: Floats) -> Floats:
    """Holm over all pairs of a symmetric k x k matrix; the diagonal is NaN."""
    upper = np.triu_indices(len(p), 1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[upper] = holm(p[upper])
    return np.where(np.isfinite(adjusted), adjusted, adjusted.T)


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


def _letters(adjusted: Floats, judged: Bools, alpha: float) -> tuple[str, ...]:
    """The first ungrouped schedule starts a new group; the ungrouped ones behind it that it cannot
    be told apart from join it."""
    letters = [""] * len(judged)
    if judged.sum() < 2:
        return tuple(letters)
    count = 0
    for founder in np.flatnonzero(judged):
        if letters[founder]:
            continue
        letter = _letter(count)
        count += 1
        for place in range(founder, len(judged)):
            apart = adjusted[founder, place] < alpha
            if judged[place] and not letters[place] and not apart:
                letters[place] = letter
    return tuple(letters)


def _letter(count: int) -> str:
    """a … z, then aa, ab, … as spreadsheets name their columns.

    >>> _letter(0), _letter(25), _letter(26)
    ('a', 'z', 'aa')
    """
    before = _letter(count // 26 - 1) if count >= 26 else ""
    return before + chr(ord("a") + count % 26)
