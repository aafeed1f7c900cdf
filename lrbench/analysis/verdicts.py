"""Claims about differences: every statistical decision is made here."""

import math
from dataclasses import dataclass

import numpy as np

from lrbench.analysis.corrections import (
    Bools,
    Floats,
    Ints,
    adjusted_all_pairs,
    ahead,
    equivalence_p,
    holm_pairs,
    transitive,
)
from lrbench.analysis.intervals import Intervals, Pairs, compare_pairs, t_intervals
from lrbench.analysis.racing import Race, nominal_levels

SAME = 1e-12  # smaller differences of means are rounding
NOT_APART = "not told apart"


@dataclass(frozen=True, eq=False)
class Verdicts:
    """The verdicts on one standing, k x k in the order of its schedules.

    `p` are the p-values of each pair, over all looks if there were several, `adjusted` also over
    all pairs (NaN: not tested). `better` is True where the row is found better than the column, and
    `intervals` are the simultaneous intervals of all differences `row - column`. `equal` is True
    where two are shown to differ by less than the margin; None without one. `race` holds the looks.
    """

    pairs: Pairs
    p: Floats
    adjusted: Floats
    better: Bools
    intervals: Intervals
    alpha: float
    direction: int
    margin: float | None = None
    equal: Bools | None = None
    race: Race | None = None

    @property
    def tests(self) -> int:
        """The number of pairs that the correction is for."""
        return int(np.isfinite(self.adjusted).sum()) // 2

    @property
    def level(self) -> float:
        """The level at which the smallest p-value is tested."""
        return self.alpha / max(1, self.tests)

    @property
    def gains(self) -> Floats:
        """By how much the row is better than the column; rounding differences are 0."""
        mean = self.pairs.mean
        return self.direction * np.where(np.abs(mean) > SAME, mean, np.where(mean == mean, 0, mean))

    @property
    def wins(self) -> Floats:
        """How many schedules each is ahead of, minus how many it is behind, on common seeds."""
        return np.asarray(np.sign(np.nan_to_num(self.gains)).sum(axis=1))


def judge(
    values: Floats,
    floor: float,
    alpha: float,
    direction: int,
    *,
    course: Race | None = None,
    margin: float | None = None,
) -> Verdicts:
    """The verdicts on `values` (seeds x schedules, NaN where missing), each pair on the seeds that
    both have, as of the last look if there are several."""
    if course is not None and course.looked:
        values = values[: course.seeds]
    pairs = compare_pairs(values, floor)
    if course is None:
        p = np.where(np.eye(values.shape[1], dtype=bool), np.nan, pairs.p)
        adjusted = adjusted_all_pairs(p)
        better = transitive(ahead(pairs.mean, adjusted, alpha, direction))
    else:
        p, adjusted, better = course.p, course.adjusted, course.better
    n = np.where(np.isfinite(p), pairs.n, np.nan)
    level = levels(alpha, np.isfinite(p).sum() // 2, course)
    equal = None
    if margin is not None:
        unequal = equivalence_p(pairs.mean, pairs.sd, n, margin)
        equal = holm_pairs(unequal if course is None else course.valid(unequal)) <= alpha
    return Verdicts(
        pairs, p, adjusted, better,
        t_intervals(pairs.mean, pairs.sd, n, better | better.T, level),
        alpha, direction, margin, equal, course,
    )  # fmt: skip


def levels(alpha: float, tests: int, course: Race | None) -> Floats:
    """The level of each pair's interval at which all hold together, over all looks."""
    each = alpha / max(1, tests)
    return np.array(each) if course is None else nominal_levels(each, course.looks)[course.last]


def best_first(verdicts: Verdicts, usable: Ints) -> list[int]:
    """Places from best to worst. No schedule precedes one that is found better; otherwise they are
    sorted by how many others each beats on common seeds, which is the order of the means if all
    have the same seeds. Those with fewer than two `usable` seeds come last; ties stay as named."""
    wins, gains = verdicts.wins, np.nansum(verdicts.gains, axis=1).round(12)
    left, order = list(range(len(usable))), []
    while left:
        free = [place for place in left if not verdicts.better[left, place].any()] or left
        pick = max(free, key=lambda i: (min(usable[i], 2), wins[i], gains[i]))
        order.append(pick)
        left.remove(pick)
    return order


def verdict(gain: float, p: float, alpha: float) -> str | None:
    """`better`, `worse` or `not told apart`; None if there was no test.

    >>> verdict(0.1, 0.01, 0.05), verdict(-0.1, 0.2, 0.05)
    ('better', 'not told apart')
    """
    if math.isnan(p):
        return None
    if p > alpha:
        return NOT_APART
    return "better" if gain > 0 else "worse"
