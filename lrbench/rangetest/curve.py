"""One seed's curve of a range test: cut, cleaned and smoothed for the rules."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lrbench.rangetest.smooth import Floats, Smooth, despike, noise_sd, smooth

End = Literal["range", "blew up", "not finite"]

FEWEST = 10  # points that a curve needs to say anything
MOST_INFLATED = 3.5  # what is left of a steep trend also looks like correlation
CUT = 1.0  # in analysis a curve ends where it lies this many drops above its start


@dataclass(frozen=True)
class Curve:
    """A curve up to its first loss that is not finite, or to where the loss has risen above its
    start by as much as it had fallen.

    `u` is log10 of the learning rates, `loss` the raw losses, `smooth` the smoothed ones, all of
    one length; `end` says what ended it. `noise` is a point's standard deviation.
    `inflation` is how much more the noise of neighbouring points adds up than independent noise
    would. `top` and `bottom` are the indices between which the smoothed loss falls.
    """

    lrs: Floats
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
        """The standard error of `drop`, with the noise's correlation between steps."""
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
        lrs: learning rates, rising, shape (n,).
        losses: raw losses, shape (m,), m <= n: a curve may end early.
        window: of the smoothing, in decades.
    """
    noise = max(typical_step(losses), typical_step(losses[:FEWEST]))
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
    # the rise of a blow-up is no noise, but looks like strongly correlated noise
    inflated = inflation(rest if end == "range" else rest[: max(bottom + 1, last // 2)])
    return Curve(lrs[:last], u, loss, fit, noise, inflated, end, top, bottom)


def inflation(rest: Floats) -> float:
    """How much larger the error of a local mean is than that of independent noise with as large
    second differences, for noise that follows x' = c·x + e: sqrt(3·(1 + c)/(3 - c))/(1 - c).

    c is estimated from the lag-1 correlation of the first differences, which is (c - 1)/2, less
    the estimate's own error of about 1/sqrt(n).

    Args:
        rest: losses without their trend, shape (n,).
    """
    steps = np.diff(rest)
    power = float(steps @ steps)
    if power == 0:
        return 1.0
    c = 1 + 2 * float(steps[1:] @ steps[:-1]) / power - 1 / math.sqrt(len(steps))
    c = min(max(c, 0.0), 0.9)
    return min(MOST_INFLATED, math.sqrt(3 * (1 + c) / (3 - c)) / (1 - c))


def ending(losses: Floats, factor: float, noise: float | None = None) -> tuple[int, End]:
    """How many points of a curve count, and what ends it: the first loss that is not finite, or a
    median of three losses above start + factor·(start - best so far + 4·noise).

    Args:
        noise: a typical step between two losses; by default measured on the first ten points,
            which then cannot end the curve.
    """
    bad = np.flatnonzero(~np.isfinite(losses))
    finite = losses[: bad[0]] if len(bad) else losses
    end: End = "not finite" if len(bad) else "range"
    grace = 3 if noise is not None else FEWEST
    if len(finite) <= grace:
        return len(finite), end
    start = float(np.median(finite[:5]))
    step = max(typical_step(finite[:FEWEST]) if noise is None else noise, 1e-12 * abs(start))
    recent = np.median([finite[:-2], finite[1:-1], finite[2:]], axis=0)
    best = np.minimum(np.minimum.accumulate(recent), start)
    high = np.flatnonzero(recent > start + factor * (start - best + 4 * step)) + 2
    high = high[high >= grace]
    return (int(high[0]), "blew up") if len(high) else (len(finite), end)


@dataclass
class Watch:
    """`ending(losses, factor)` for losses that arrive one by one."""

    factor: float
    seen: list[float] = field(default_factory=list)
    start: float = 0.0
    step: float = 0.0
    best: float = 0.0

    def ends(self, loss: float) -> bool:
        """Whether the curve ends at this loss, the next one."""
        self.seen.append(loss)
        if not math.isfinite(loss):
            return True
        if len(self.seen) <= FEWEST:
            if len(self.seen) == FEWEST:
                self._begin(np.array(self.seen))
            return False
        recent = sorted(self.seen[-3:])[1]
        self.best = min(self.best, recent)
        return recent > self.start + self.factor * (self.start - self.best + 4 * self.step)

    def _begin(self, first: Floats) -> None:
        self.start = float(np.median(first[:5]))
        self.step = max(typical_step(first), 1e-12 * abs(self.start))
        recent = np.median([first[:-2], first[1:-1], first[2:]], axis=0)
        self.best = min(self.start, float(recent.min()))


def typical_step(losses: Floats) -> float:
    """The median distance between neighbouring finite losses."""
    steps = np.abs(np.diff(losses[np.isfinite(losses)]))
    return float(np.median(steps)) if len(steps) else 0.0
