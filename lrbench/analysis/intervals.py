"""Differences between schedules, paired by seed, and intervals of differences and rates."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, stdtr, stdtrit

from lrbench.analysis.corrections import Bools, Floats


def sd_floor(images: int) -> float:
    """The smallest sd a difference of two accuracies on `images` images can have: each is rounded
    to whole images (variance 1/12 of an image squared), so their difference has an sd of 1/√6
    image."""
    return 1 / (images * math.sqrt(6))


@dataclass(frozen=True, eq=False)
class Pairs:
    """All differences `row - column` between k schedules; every array is k x k.

    `n` is the number of common seeds; `mean` and `sd` are those of the difference (the sd is
    floored); `p` is two-sided; `equal` is True where the two agree in every common seed. NaN where
    there are fewer than two common seeds.
    """

    n: Floats
    mean: Floats
    sd: Floats
    p: Floats
    equal: Bools


def compare_pairs(values: Floats, floor: float = 0.0) -> Pairs:
    """Paired t statistics for all pairs of columns of `values` (seeds x schedules, NaN for a
    missing value), over the seeds that both columns have.

    t = mean / (sd / √n) with n - 1 degrees of freedom (Student 1908). The sd is at least `floor`;
    differences that are all zero are an exact tie with p = 1. A percentile bootstrap would call a
    fifth of all ties a difference at three to five seeds.
    """
    differences = values[:, :, None] - values[:, None, :]
    present = np.isfinite(differences)
    n = present.sum(axis=0).astype(float)
    enough = n >= 2
    filled = np.where(present, differences, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, filled.sum(axis=0) / n, np.nan)
        squares = np.where(present, (filled - mean) ** 2, 0.0).sum(axis=0)
        sd = np.where(enough, np.sqrt(squares / (n - 1)), np.nan)
        equal = enough & (filled == 0).all(axis=0)
        sd = np.where(equal, 0.0, np.maximum(sd, floor))
        error = sd / np.sqrt(n)
        p = 2 * stdtr(n - 1, -np.abs(mean) / error)
    p = np.where(equal, 1.0, np.where(enough, p, np.nan))
    return Pairs(n, mean, sd, p, equal)


@dataclass(frozen=True, eq=False)
class Intervals:
    """Simultaneous intervals of all differences, at the requested confidence. NaN where there are
    fewer than two common seeds."""

    low: Floats
    high: Floats

    @property
    def within(self) -> Floats:
        """The most by which two schedules can differ: the farther end of their interval."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def t_intervals(mean: Floats, sd: Floats, n: Floats, apart: Bools, level: Floats) -> Intervals:
    """t intervals, each at its own level: alpha over the number of pairs for simultaneous ones.
    Where two schedules are told `apart`, the interval ends at 0: the step-down test behind the
    verdict is sharper than these intervals, which must not contradict it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(n >= 2, sd / np.sqrt(n), np.nan)
        half = stdtrit(n - 1, 1 - level / 2) * error
    low, high = mean - half, mean + half
    low = np.where(apart & (mean > 0), np.maximum(low, 0.0), low)
    high = np.where(apart & (mean < 0), np.minimum(high, 0.0), high)
    return Intervals(low, high)


def rate_bound(count: int, of: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of a rate observed as `count` of `of` (Clopper and Pearson 1934).

    >>> round(rate_bound(0, 6), 2), rate_bound(3, 3)
    (0.39, 1.0)
    """
    if count >= of:
        return 1.0
    return float(betaincinv(count + 1, of - count, confidence))


def mean_interval(values: Floats, floor: float, confidence: float) -> tuple[float, float, float]:
    """(mean, sd, half-width of the t interval of the mean). The sd is as measured; the interval
    uses at least `floor`. NaN with too few values."""
    kept = values[np.isfinite(values)]
    n = len(kept)
    mean = float(kept.mean()) if n else math.nan
    sd = float(kept.std(ddof=1)) if n > 1 else math.nan
    return (
        mean,
        sd,
        float(stdtrit(n - 1, (1 + confidence) / 2)) * max(sd, floor) / math.sqrt(n or 1),
    )
