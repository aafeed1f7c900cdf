"""How much a run can show: power and seeds needed, as ranges, and what a finite test set hides."""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import nctdtr, stdtr, stdtrit

from lrbench.analysis.corrections import Floats

POWER = 0.8
MOST_SEEDS = 2**16
RANGE = 0.8
"""Confidence of a range: 80 %, which keeps it narrow enough to plan with."""

UNEVEN = 0.2


def power_of(difference: float, sd: float, n: int, alpha: float) -> float:
    """The power of a two-sided paired t test at level `alpha` with `n` seeds, from the noncentral t
    distribution with noncentrality difference·√n / sd, ignoring the far tail."""
    if n < 2 or sd <= 0:
        return float(n >= 2 and difference != 0)
    critical = float(stdtrit(n - 1, 1 - alpha / 2))
    return 1 - float(nctdtr(n - 1, abs(difference) * math.sqrt(n) / sd, critical))


def detectable_difference(sd: float, n: int, alpha: float, power: float = POWER) -> float | None:
    """The smallest true difference that `n` seeds detect with this power; None with one seed."""
    if n < 2 or not math.isfinite(sd):
        return None
    return sd and _least(lambda gap: power_of(gap, sd, n, alpha) >= power, sd, 1e-6)


def _least(enough: Callable[[float], np.bool | bool], start: float, tolerance: float) -> float:
    """The smallest sufficient number, to a relative tolerance, by doubling and bisection."""
    low, high = 0.0, start
    while not enough(high):
        low, high = high, 2 * high
    while high - low > tolerance * high:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def seeds_needed(difference: float, sd: float, alpha: float, power: float = POWER) -> int | None:
    """The fewest seeds that detect a true difference of this size with this power; None for a zero
    difference, or if MOST_SEEDS would not be enough."""
    if not (math.isfinite(difference) and math.isfinite(sd)) or difference == 0:
        return None
    counts = range(2, MOST_SEEDS + 1)
    place = bisect_left(counts, power, key=lambda n: power_of(difference, sd, n, alpha))
    return counts[place] if place < len(counts) else None


def effect_range(mean: float, sd: float, n: int, sure: float = RANGE) -> tuple[float, float]:
    """The range of standardised differences |δ|/σ compatible with this mean and sd over n seeds, by
    inverting the noncentral t distribution; it starts at 0 if 0 cannot be excluded.

    >>> [round(x, 2) for x in effect_range(1.0, 1.0, 6)]
    [0.3, 1.61]
    """
    t, tail = abs(mean) / sd * math.sqrt(n), (1 - sure) / 2

    def effect(level: float) -> float:
        """The effect at which the chance of a t no larger than the observed one is `level`."""
        if stdtr(n - 1, t) <= level:
            return 0.0
        return _least(lambda shift: nctdtr(n - 1, shift, t) <= level, 1.0, 1e-9) / math.sqrt(n)

    return effect(1 - tail), effect(tail)


def seeds_range(
    mean: float, sd: float, n: int, level: float, power: float = POWER, sure: float = RANGE
) -> tuple[int, int | None] | None:
    """How many seeds it takes to detect the difference with this power at this level: (fewest,
    most). `most` is None if the difference may be zero; the result is None with one seed or no
    difference at all."""
    if n < 2 or not (math.isfinite(mean) and sd > 0) or mean == 0:
        return None
    low, high = effect_range(mean, sd, n, sure)
    fewest = seeds_needed(high, 1.0, level, power)
    return None if fewest is None else (fewest, seeds_needed(low, 1.0, level, power))


def detectable_range(
    sds: Floats, n: int, level: float, power: float = POWER
) -> tuple[float, float] | None:
    """The true differences that are detected in `power` of all runs, for the least and most noisy
    pairs, from the sds of the paired differences; None with fewer than two seeds."""
    known = sds[np.isfinite(sds)]
    if n < 2 or not len(known):
        return None
    least, most = (
        detectable_difference(float(sd), n, level, power) for sd in (known.min(), known.max())
    )
    return None if least is None or most is None else (least, most)


def image_error(error_a: float, error_b: float, images: int, differ: float | None = None) -> float:
    """Standard error of a difference of two accuracies due to the test images alone; no number of
    seeds makes it smaller.

    `differ` is the share of images that exactly one of the two classifies correctly (McNemar 1947).
    Where it is unknown, the error rates give its upper bound, as if no image were hard for both.

    >>> round(100 * image_error(0.02, 0.02, 1000, differ=0.03), 2)
    0.55
    """
    share = min(error_a + error_b, 2 - error_a - error_b) if differ is None else differ
    return math.sqrt(max(share - (error_a - error_b) ** 2, 0.0) / images)


def at_chance(accuracy: Any, classes: int, images: int) -> Any:
    """True if models with these accuracies may have learnt nothing, like one that always predicts
    the same class: at most three standard errors above 1/classes, and a little more because classes
    differ in size. Such a trial has collapsed: it is counted, not averaged.

    >>> at_chance(0.1135, 10, 10_000), at_chance(0.2, 10, 1000)
    (True, False)
    """
    chance = 1 / classes
    variance = chance * (1 - chance)
    return accuracy <= chance + 3 * math.sqrt(variance / images) + UNEVEN * variance
