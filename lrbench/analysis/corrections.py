"""Which pairs of schedules differ significantly: closed tests over all pairs, and what follows.

The hypotheses about k means are linked: if A = B and B = C then A = C. Only some sets of pairs can
therefore be equal together, one for each partition of the k schedules, and a test of all pairs need
only guard against those (Shaffer 1986; Bergmann and Hommel 1988; Garcia and Herrera 2008). Every
matrix here is k x k and symmetric, with NaN on the diagonal and for pairs that were not tested.
"""

import math
from collections.abc import Callable, Collection, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MOST_EXHAUSTIVE = 9
"""Bell(9) = 21,147 partitions; Bell(10) is five times as many and adds almost no power."""


def adjusted_all_pairs(p: Floats) -> Floats:
    """p-values adjusted for testing all pairs: Bergmann-Hommel for up to nine schedules, Shaffer's
    static step-down above. The chance of any false claim is at most alpha, whichever schedules are
    equal, as long as each p is valid on its own."""
    family = bergmann_hommel if len(p) <= MOST_EXHAUSTIVE else shaffer
    return _over_pairs(p, lambda upper: family(upper, len(p)))


def bergmann_hommel(p: Floats, k: int) -> Floats:
    """Adjusted p-values of the k(k - 1)/2 pairs in the order of `numpy.triu_indices`: the largest
    |I| · min(p in I) over the exhaustive sets I that contain the pair. Pairs with NaN are not part
    of the family."""
    tested = np.isfinite(p)
    sets = exhaustive_sets(k)[:, tested]
    smallest = np.where(sets, p[tested], 1.0).min(axis=1, initial=1.0)
    scores = np.minimum(sets.sum(axis=1) * smallest, 1.0)
    adjusted = np.full(len(p), np.nan)
    adjusted[tested] = np.where(sets, scores[:, None], 0.0).max(axis=0, initial=0.0)
    return adjusted


def shaffer(p: Floats, k: int) -> Floats:
    """Adjusted p-values of all pairs by Shaffer's static step-down (1986, S1)."""
    return _step_down(p, equal_counts(k))


def holm(p: Floats) -> Floats:
    """Holm (1979): the i-th smallest of m p-values times m - i + 1, never below the previous one.
    Used for pairs with a reference named in advance, and for equivalence.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    return _step_down(p, range(len(p) + 1))


def _step_down(p: Floats, possible: Collection[int]) -> Floats:
    """The i-th smallest p-value times the largest number of hypotheses that can be true when i - 1
    are false, never below the previous one. `possible` lists how many can be true together."""
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()]
    factors = [
        min(len(order) - done, max(count for count in possible if count <= len(p) - done))
        for done in range(len(order))
    ]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


@cache
def exhaustive_sets(k: int) -> Bools:
    """The sets of pairs that can be equal together: one row for each partition of k schedules into
    groups of equals, except the one in which all differ. Bell(k) - 1 rows, k(k - 1)/2 columns."""
    labels = np.array([labels for labels in _partitions(k) if max(labels) < k - 1], dtype=np.int8)
    first, second = np.triu_indices(k, 1)
    return np.asarray(labels.reshape(-1, k)[:, first] == labels.reshape(-1, k)[:, second])


def _partitions(k: int) -> Iterator[tuple[int, ...]]:
    """All partitions of k items, each as the group number of every item; groups are numbered in
    order of appearance.

    >>> list(_partitions(2))
    [(0, 0), (0, 1)]
    """
    if k == 1:
        yield (0,)
        return
    for labels in _partitions(k - 1):
        for label in range(max(labels) + 2):
            yield (*labels, label)


@cache
def equal_counts(k: int) -> frozenset[int]:
    """How many pairs of k schedules can be equal at the same time (Shaffer 1986).

    >>> sorted(equal_counts(5))
    [0, 1, 2, 3, 4, 6, 10]
    """
    if k <= 1:
        return frozenset({0})
    return frozenset(
        math.comb(size, 2) + rest for size in range(1, k + 1) for rest in equal_counts(k - size)
    )


def ahead(mean: Floats, adjusted: Floats, alpha: float, direction: int = 1) -> Bools:
    """True where the row is significantly better than the column. `mean` is row minus column;
    `direction` is -1 where lower is better."""
    with np.errstate(invalid="ignore"):
        return np.asarray((adjusted <= alpha) & (direction * mean > 0))


def transitive(better: Bools) -> Bools:
    """The claims and all that follow from them: if A beats B and B beats C, then A beats C."""
    closed = better.copy()
    for between in range(len(closed)):
        closed |= np.outer(closed[:, between], closed[between])
    return closed


def rank_intervals(better: Bools) -> tuple[Ints, Ints]:
    """The lowest and highest rank each schedule may have: 1 + the number of schedules found better,
    and k - the number found worse. All true ranks lie within these intervals unless a claim is
    false."""
    return 1 + better.sum(axis=0), len(better) - better.sum(axis=1)


def equivalence_p(mean: Floats, sd: Floats, n: Floats, margin: float) -> Floats:
    """p-values of |difference| >= margin, by two one-sided tests (Schuirmann 1987). The margin must
    be chosen before seeing the run."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (np.abs(mean) - margin) / (sd / np.sqrt(n))
        p = stdtr(np.maximum(n - 1, 1), t)
    return np.where(n >= 2, np.where(np.isnan(t), 1.0, p), np.nan)


def holm_pairs(p: Floats) -> Floats:
    """`holm` over the pairs of a symmetric matrix."""
    return _over_pairs(p, holm)


def _over_pairs(p: Floats, adjust: Callable[[Floats], Floats]) -> Floats:
    """The symmetric matrix of adjusted p-values, computed from the pairs above the diagonal."""
    upper = np.triu_indices(len(p), 1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[upper] = adjust(p[upper])
    return np.asarray(np.fmax(adjusted, adjusted.T))
