"""Intervals of differences and rates, and the least noise that a difference can have."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, stdtrit

from lrbench.analysis.corrections import Bools, Floats


def sd_floor(images: int) -> float:
    """The least sd of a difference of two accuracies on that many images: each is rounded to whole
    images (variance 1/12 of an image squared), so their difference has 1/√6 of an image."""
    return 1 / (images * math.sqrt(6))


@dataclass(frozen=True, eq=False)
class Intervals:
    """Intervals of all differences that hold together with the confidence asked for. NaN where
    fewer than two seeds are common."""

    low: Floats
    high: Floats

    @property
    def within(self) -> Floats:
        """How far apart two schedules can be at most: the farther end of their interval."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def t_intervals(mean: Floats, sd: Floats, n: Floats, apart: Bools, level: Floats) -> Intervals:
    """t intervals, each at its level: alpha over the number of pairs for those that hold together.
    Where two schedules are told `apart` their interval ends at 0, since the step-down test that
    told them apart is sharper than these intervals, and a verdict must not be denied by the
    interval next to it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(n >= 2, sd / np.sqrt(n), np.nan)
        half = stdtrit(n - 1, 1 - level / 2) * error
    low, high = mean - half, mean + half
    low = np.where(apart & (mean > 0), np.maximum(low, 0.0), low)
    high = np.where(apart & (mean < 0), np.minimum(high, 0.0), high)
    return Intervals(low, high)


def rate_bound(count: int, of: int, confidence: float = 0.95) -> float:
    """The upper bound of a rate of which `count` of `of` were seen (Clopper and Pearson 1934,
    one-sided).

    >>> round(rate_bound(0, 6), 2), rate_bound(3, 3)
    (0.39, 1.0)
    """
    if count >= of:
        return 1.0
    return float(betaincinv(count + 1, of - count, confidence))


def mean_interval(values: Floats, floor: float, confidence: float) -> tuple[float, float, float]:
    """(mean, sd, half-width of the t interval of the mean). The sd is as measured; the interval
    takes it to be at least `floor`. NaN where there are too few values."""
    kept = values[np.isfinite(values)]
    if not len(kept):
        return float("nan"), float("nan"), float("nan")
    if len(kept) == 1:
        return float(kept[0]), float("nan"), float("nan")
    sd = float(kept.std(ddof=1))
    quantile = float(stdtrit(len(kept) - 1, (1 + confidence) / 2))
    return float(kept.mean()), sd, quantile * max(sd, floor) / float(np.sqrt(len(kept)))
