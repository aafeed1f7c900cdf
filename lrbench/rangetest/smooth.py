"""Smoothing of a range test's curve: symmetric in log LR, so that nothing lags behind."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEIGHBOURS = 3  # points on each side that a window holds at least, however narrow it is
SPIKE_SIGMAS = 5.0


@dataclass(frozen=True)
class Smooth:
    """A smoothed curve. Multiplied by the noise of one point, the two gains are the standard
    errors of value and slope."""

    value: Floats
    slope: Floats
    value_gain: Floats
    slope_gain: Floats


def smooth(u: Floats, y: Floats, window: float) -> Smooth:
    """Fit the neighbourhood of each point: a parabola gives its value, a line its slope.

    Local regression with tricube weights over `window` decades (Cleveland, "Robust locally
    weighted regression", JASA 1979, without the robust iterations). The kernel is symmetric, so
    a curve is blurred but not shifted; an exponential moving average, which other finders use,
    shifts it by half a decade. The parabola keeps a narrow minimum deep; away from the ends its
    slope is the line's, and at the ends the line's is far steadier.

    Args:
        u: log10 of the learning rates, rising, shape (n,), n >= 4.
        y: losses, finite, shape (n,).
        window: full width of the kernel in decades.
    """
    fits = np.array([_weights(u, i, window) for i in range(len(u))])
    value, slope = fits[:, 0], fits[:, 1]
    level = y[0]  # an offset far larger than the curve would eat its digits
    return Smooth(
        value=value @ (y - level) + level,
        slope=slope @ (y - level),
        value_gain=np.sqrt((value**2).sum(axis=1)),
        slope_gain=np.sqrt((slope**2).sum(axis=1)),
    )


def _weights(u: Floats, i: int, window: float) -> Floats:
    """The weights of all points in the value and in the slope at point i."""
    distance = np.abs(u - u[i])
    nearest = min(2 * NEIGHBOURS, len(u) - 1)
    half = max(window / 2, 1.001 * float(np.partition(distance, nearest)[nearest]))
    kernel = np.clip(1 - (distance / half) ** 3, 0, None) ** 3
    x = (u - u[i]) / half
    powers = np.stack([np.ones_like(x), x, x * x])
    value = np.linalg.solve((powers * kernel) @ powers.T, powers * kernel)[0]
    kernel /= kernel.sum()
    offset = x - kernel @ x
    return np.stack([value, kernel * offset / (kernel @ offset**2) / half])


def despike(y: Floats) -> Floats:
    """Replace single points far off their neighbours by the median of five.

    Hampel's filter; a running median leaves every monotone stretch as it is (but for the two
    points at each end), so a loss that truly blows up is kept.
    """
    middle = running_median(y)
    off = np.abs(y - middle)
    scale = 1.4826 * np.median(off)
    floor = 1e-3 * float(np.subtract(*np.percentile(middle, [75, 25])))
    return np.where(off > SPIKE_SIGMAS * max(scale, floor), middle, y)


def running_median(y: Floats) -> Floats:
    """The median of five around each point; at the ends, of the neighbours that there are."""
    return np.array([np.median(y[max(0, i - 2) : i + 3]) for i in range(len(y))])


def noise_sd(y: Floats, smoothed: Floats) -> float:
    """The standard deviation of a point's noise.

    From second differences (a smooth curve leaves almost nothing in them) and from what the
    smoothing took away (noise that is alike from step to step shows there); the larger.
    """
    if len(y) < 3:
        return 0.0
    bends = y[1:-1] - (y[:-2] + y[2:]) / 2
    from_bends = 1.4826 * float(np.median(np.abs(bends))) / math.sqrt(1.5)
    from_rest = 1.4826 * float(np.median(np.abs(y - smoothed)))
    return max(from_bends, from_rest)
