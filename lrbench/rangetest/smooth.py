"""Smoothing of a range test's curve: symmetric in log LR, hence without lag."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEIGHBOURS = 3  # points on each side that a window holds at least, however narrow it is
SPIKE_SIGMAS = 5.0
BLOCK = 64  # points that are smoothed at once


@dataclass(frozen=True)
class Smooth:
    """A smoothed curve. The gains times the noise of one point are the standard errors of value and
    slope."""

    value: Floats
    slope: Floats
    value_gain: Floats
    slope_gain: Floats


def smooth(u: Floats, y: Floats, window: float) -> Smooth:
    """Fit the neighbourhood of each point: a parabola gives its value, a line its slope.

    Local regression with tricube weights over `window` decades (Cleveland, "Robust locally
    weighted regression", JASA 1979, without the robust iterations). The symmetric kernel blurs a
    curve but does not shift it; an exponential moving average shifts it by half a decade. The
    parabola keeps a narrow minimum deep; the line's slope is far steadier at the ends.

    Args:
        u: log10 of the learning rates, rising, shape (n,), n >= 4.
        y: losses, finite, shape (n,).
        window: full width of the kernel in decades.
    """
    level = y[0]  # an offset far larger than the curve would eat its digits
    blocks = (slice(start, start + BLOCK) for start in range(0, len(u), BLOCK))
    parts = [_fitted(u, y - level, rows, window) for rows in blocks]
    value, slope, value_gain, slope_gain = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    return Smooth(value + level, slope, value_gain, slope_gain)


def _reached(u: Floats, rows: slice, window: float) -> slice:
    """The points within reach of the kernels of a block of points."""
    block = u[rows]
    low, high = np.searchsorted(u, [block[0] - window / 2, block[-1] + window / 2])
    spare = 2 * NEIGHBOURS + 1
    return slice(max(0, min(low, rows.start - spare)), max(high, rows.stop + spare) + 1)


def _fitted(u: Floats, y: Floats, rows: slice, window: float) -> tuple[Floats, ...]:
    """Value and slope at some of the points, and the gains of both."""
    centres, reached = u[rows, None], _reached(u, rows, window)
    u, y = u[reached], y[reached]
    distance = np.abs(centres - u)
    nearest = min(2 * NEIGHBOURS, len(u) - 1)
    half = np.maximum(window / 2, 1.001 * np.partition(distance, nearest)[:, [nearest]])
    kernel = np.clip(1 - (distance / half) ** 3, 0, None) ** 3
    x = (u - centres) / half
    value = kernel * _parabola(kernel, x)
    offset = x - (kernel * x).sum(1, keepdims=True) / kernel.sum(1, keepdims=True)
    slope = kernel * offset / ((kernel * offset**2).sum(1, keepdims=True) * half)
    return value @ y, slope @ y, np.sqrt((value**2).sum(1)), np.sqrt((slope**2).sum(1))


def _parabola(kernel: Floats, x: Floats) -> Floats:
    """The factors of each kernel in the value at 0 of the fitted parabola."""
    powers = np.stack([np.ones_like(x), x, x * x], axis=1)
    moments = (powers * kernel[:, None]) @ powers.transpose(0, 2, 1)
    first = np.linalg.solve(moments, np.broadcast_to(np.eye(3)[:, :1], (len(x), 3, 1)))
    weights: Floats = np.einsum("rpn,rp->rn", powers, first[:, :, 0])
    return weights


def despike(y: Floats) -> Floats:
    """Replace single points far from their neighbours by the median of five (Hampel's filter). A
    running median keeps monotone stretches, so a real blow-up stays."""
    middle = running_median(y)
    off = np.abs(y - middle)
    scale = 1.4826 * np.median(off)
    floor = 1e-3 * float(np.subtract(*np.percentile(middle, [75, 25])))
    return np.where(off > SPIKE_SIGMAS * max(scale, floor), middle, y)


def running_median(y: Floats) -> Floats:
    """The median of five around each point, of fewer at the ends."""
    windows = sliding_window_view(np.pad(y, 2, constant_values=np.nan), 5)
    middle: Floats = np.nanmedian(windows, axis=1)
    return middle


def noise_sd(y: Floats, smoothed: Floats) -> float:
    """The standard deviation of a point's noise: the larger of two estimates, from second
    differences and from the residuals of the smoothing, which also show correlated noise."""
    if len(y) < 3:
        return 0.0
    bends = y[1:-1] - (y[:-2] + y[2:]) / 2
    from_bends = 1.4826 * float(np.median(np.abs(bends))) / math.sqrt(1.5)
    from_rest = 1.4826 * float(np.median(np.abs(y - smoothed)))
    return max(from_bends, from_rest)
