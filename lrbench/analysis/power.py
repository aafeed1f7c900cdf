"""What a run could have found, and how many seeds a difference needs."""

from __future__ import annotations

import math

POWER = 0.8
MOST_SEEDS = 100_000


def power_of(difference: float, sd: float, n: int, alpha: float) -> float:
    """How often a two-sided paired t test at level `alpha` with `n` seeds finds a true difference:
    from the noncentral t distribution with noncentrality difference·√n / sd, the far tail left out.
    """
    from scipy.special import nctdtr, stdtrit

    if n < 2 or sd <= 0:
        return float(n >= 2 and difference != 0)
    critical = float(stdtrit(n - 1, 1 - alpha / 2))
    return 1 - float(nctdtr(n - 1, abs(difference) * math.sqrt(n) / sd, critical))


def detectable_difference(sd: float, n: int, alpha: float, power: float = POWER) -> float | None:
    """The smallest true difference that `n` seeds find with that power; None with one seed."""
    if n < 2 or not math.isfinite(sd):
        return None
    if sd == 0:
        return 0.0
    low, high = 0.0, sd
    while power_of(high, sd, n, alpha) < power:
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        found = power_of(middle, sd, n, alpha) >= power
        low, high = (low, middle) if found else (middle, high)
    return high


def seeds_needed(difference: float, sd: float, alpha: float, power: float = POWER) -> int | None:
    """The fewest seeds that find a true difference of this size with that power; None where it is
    zero, or where more than MOST_SEEDS would not be enough."""
    if not (math.isfinite(difference) and math.isfinite(sd)) or difference == 0:
        return None
    high = 2
    while power_of(difference, sd, high, alpha) < power:
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        found = power_of(difference, sd, middle, alpha) >= power
        low, high = (low, middle) if found else (middle, high)
    return high
