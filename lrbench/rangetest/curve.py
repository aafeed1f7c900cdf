"""One seed's curve of a range test, prepared for the rules: cut, cleaned, and smoothed
symmetrically in log LR, so that it does not lag."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
End = Literal["range", "blew up", "not finite"]

FEWEST = 10  # fewest points of a usable curve
MOST_INFLATED = 3.5  # what remains of a steep trend also looks like correlation
ALIKE = 4.0  # standard errors
BLOWN_UP = 2.0  # a sweep stops when the loss is this many falls above its start
NEIGHBOURS = 3  # fewest points on each side of a window
SPIKE_SIGMAS = 5.0
BLOCK = 64  # points smoothed together
CUT = 1.0  # for analysis, a curve ends this many falls above its start


@dataclass(frozen=True)
class Smooth:
    """A smoothed curve. The gains, times the noise of one point, are the standard errors of value
    and slope."""

    value: Floats
    slope: Floats
    value_gain: Floats
    slope_gain: Floats


@dataclass(frozen=True)
class Curve:
    """A curve up to its first non-finite loss, or to where the loss has risen above its start by as
    much as it had fallen.

    `u` is log10 of the learning rates, `loss` the raw losses, `smooth` the smoothed ones, all of
    equal length; `end` says what ended it. `noise` is a point's standard deviation. `inflation` is
    the error of a local mean relative to that of independent noise. `top` and `bottom` are the
    indices between which the smoothed loss falls.
    """

    u: Floats
    loss: Floats
    smooth: Smooth
    noise: float
    inflation: float
    end: End
    top: int
    bottom: int

    @property
    def drop(self) -> float:
        """How far the smoothed loss falls."""
        value = self.smooth.value
        return float(value[self.top] - value[self.bottom])

    @property
    def drop_error(self) -> float:
        """The standard error of `drop`, allowing for noise that is correlated between steps."""
        gain = self.smooth.value_gain
        error = self.noise * float(np.hypot(gain[self.top], gain[self.bottom]))
        return error * self.inflation

    @property
    def slope_error(self) -> Floats:
        """The standard errors of the slopes, in loss per decade."""
        return self.noise * self.smooth.slope_gain


def read_curve(lrs: Floats, losses: Floats, window: float) -> Curve | None:
    """Cut, clean and smooth a curve; None if fewer than four points are left.

    Args:
        lrs: learning rates, increasing, shape (n,).
        losses: raw losses, shape (m,), m <= n because a curve may end early.
        window: width of the smoothing, in decades.
    """
    calm = losses[: ending(losses, BLOWN_UP)[0]]
    noise = max(typical_step(calm), typical_step(losses[:FEWEST]))
    last, end = ending(losses, CUT, noise)
    if end == "range" and len(losses) < len(lrs):
        end = "blew up"  # the sweep itself stopped
    if last < 4:
        return None
    u, loss = np.log10(lrs[:last]), losses[:last]
    clean = despike(loss)
    fit = smooth(u, clean, window)
    noise = noise_sd(clean, fit.value)
    bottom = int(np.argmin(fit.value + 2 * noise * fit.value_gain))
    top = int(np.argmax(fit.value[: bottom + 1] - 2 * noise * fit.value_gain[: bottom + 1]))
    rest = clean - smooth(u, clean, 2 * window).value
    # the rise of a blow-up is not noise, but looks like strongly correlated noise
    inflated = inflation(rest if end == "range" else rest[: max(bottom + 1, last // 2)])
    return Curve(u, loss, fit, noise, inflated, end, top, bottom)


def inflation(rest: Floats) -> float:
    """The error of a local mean relative to that of independent noise whose second differences are
    as large, for noise that follows x' = c·x + e: sqrt(3·(1 + c)/(3 - c))/(1 - c).

    c is estimated from the lag-1 correlation of the first differences, which is (c - 1)/2, minus
    the estimate's standard error of about 1/sqrt(n).

    Args:
        rest: losses minus their trend, shape (n,).
    """
    steps = np.diff(rest)
    power = float(steps @ steps)
    if power == 0:
        return 1.0
    c = 1 + 2 * float(steps[1:] @ steps[:-1]) / power - 1 / math.sqrt(len(steps))
    c = min(max(c, 0.0), 0.9)
    return min(MOST_INFLATED, math.sqrt(3 * (1 + c) / (3 - c)) / (1 - c))


def in_order(losses: Floats) -> bool:
    """True if losses at learning rate 0 depend on the batch order: neighbours are closer than by
    chance. Source: von Neumann's ratio (1941), which is 2 ± 2/sqrt(n) for independent values."""
    if not np.isfinite(losses).all() or np.ptp(losses) <= 1e-6 * np.abs(losses).max():
        return False
    ratio = float(np.square(np.diff(losses)).mean() / losses.var())
    return math.sqrt(len(losses)) * (1 - ratio / 2) > ALIKE


@dataclass
class Watch:
    """Decides, as losses arrive one by one, whether the curve ends: at a non-finite loss, or when
    the median of the last three exceeds start + factor·(start - best + 4·step).

    `step` is a typical difference between successive losses. Without `start`, both are measured on
    the first ten points, which then end the curve only if one is not finite.
    """

    factor: float
    start: float | None = None
    step: float = 0.0
    best: float = math.inf
    seen: list[float] = field(default_factory=list)

    def ends(self, loss: float) -> bool:
        self.seen.append(loss)
        if not math.isfinite(loss):
            return True
        recent = sorted(self.seen[-3:])[1] if len(self.seen) > 2 else math.inf
        self.best = min(self.best, recent)
        if self.start is None:
            if len(self.seen) == FEWEST:
                first = np.array(self.seen)
                self.start = float(np.median(first[:5]))
                self.step = max(typical_step(first), 1e-12 * abs(self.start))
            return False
        fallen = self.start - min(self.best, self.start)
        high = recent > self.start + self.factor * (fallen + 4 * self.step)
        return high and len(self.seen) > 3


def ending(losses: Floats, factor: float, noise: float | None = None) -> tuple[int, End]:
    """How many points of a curve count, and what ends it; `noise` is a typical step, if known."""
    watch = Watch(factor)
    if noise is not None and len(losses):
        bad = np.flatnonzero(~np.isfinite(losses))
        first = losses[: min([5, *bad[:1]])]
        start = float(np.median(first)) if len(first) else 0.0
        watch = Watch(factor, start, max(noise, 1e-12 * abs(start)))
    for place, loss in enumerate(losses.tolist()):
        if watch.ends(loss):
            return place, "blew up" if math.isfinite(loss) else "not finite"
    return len(losses), "range"


def typical_step(losses: Floats) -> float:
    """The median distance between neighbouring finite losses."""
    steps = np.abs(np.diff(losses[np.isfinite(losses)]))
    return float(np.median(steps)) if len(steps) else 0.0


def smooth(u: Floats, y: Floats, window: float) -> Smooth:
    """Fit the neighbourhood of each point: a parabola gives its value, a line its slope.

    Local regression with tricube weights over `window` decades (Cleveland, "Robust locally weighted
    regression", JASA 1979, without the robust iterations). The symmetric kernel blurs a curve but
    does not shift it; an exponential moving average shifts it by half a decade. The parabola keeps
    a narrow minimum deep; the line's slope is much steadier at the ends.

    Args:
        u: log10 of the learning rates, rising, shape (n,), n >= 4.
        y: losses, finite, shape (n,).
        window: full width of the kernel in decades.
    """
    level = y[0]  # a large offset would cost digits
    blocks = (slice(start, start + BLOCK) for start in range(0, len(u), BLOCK))
    parts = [_fitted(u, y - level, rows, window) for rows in blocks]
    value, slope, value_gain, slope_gain = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    return Smooth(value + level, slope, value_gain, slope_gain)


def _reached(u: Floats, rows: slice, window: float) -> slice:
    """The points that the kernels of a block of points cover."""
    block = u[rows]
    low, high = np.searchsorted(u, [block[0] - window / 2, block[-1] + window / 2])
    spare = 2 * NEIGHBOURS + 1
    return slice(max(0, min(low, rows.start - spare)), max(high, rows.stop + spare) + 1)


def _fitted(u: Floats, y: Floats, rows: slice, window: float) -> tuple[Floats, ...]:
    """Values and slopes at the points `rows`, and the gains of both."""
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
    """The weights of the points in each fitted parabola's value at 0."""
    powers = np.stack([np.ones_like(x), x, x * x], axis=1)
    moments = (powers * kernel[:, None]) @ powers.transpose(0, 2, 1)
    first = np.linalg.solve(moments, np.broadcast_to(np.eye(3)[:, :1], (len(x), 3, 1)))
    weights: Floats = np.einsum("rpn,rp->rn", powers, first[:, :, 0])
    return weights


def despike(y: Floats) -> Floats:
    """Replace single outliers with the median of five points (Hampel's filter). A running median
    keeps monotone stretches, so a real blow-up survives."""
    middle = running_median(y)
    off = np.abs(y - middle)
    scale = 1.4826 * np.median(off)
    floor = 1e-3 * float(np.subtract(*np.percentile(middle, [75, 25])))
    return np.where(off > SPIKE_SIGMAS * max(scale, floor), middle, y)


def running_median(y: Floats) -> Floats:
    """The median of the five points around each point; fewer at the ends."""
    windows = sliding_window_view(np.pad(y, 2, constant_values=np.nan), 5)
    middle: Floats = np.nanmedian(windows, axis=1)
    return middle


def noise_sd(y: Floats, smoothed: Floats) -> float:
    """The standard deviation of a point's noise: the larger of two estimates, one from second
    differences, one from the residuals of the smoothing, which also see correlated noise."""
    if len(y) < 3:
        return 0.0
    bends = y[1:-1] - (y[:-2] + y[2:]) / 2
    from_bends = 1.4826 * float(np.median(np.abs(bends))) / math.sqrt(1.5)
    from_rest = 1.4826 * float(np.median(np.abs(y - smoothed)))
    return max(from_bends, from_rest)
