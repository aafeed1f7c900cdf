"""Schedules of several parts in one formula: holds, warm-ups of their own, other curves down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

from lrbench.errors import Notice, Topic
from lrbench.schedules.definitions import Arguments, AtLeastOne, Curve, Positive, register
from lrbench.schedules.units import Clock, Length, Level, Moment

ZERO = Level(0)
WARMUP, DECAY, EXPLORE, CUT = Length(5, "%"), Length(20, "%"), Length(50, "%"), Moment(10, "%")

COOLDOWNS: dict[str, Callable[[float], float]] = {
    "linear": lambda u: 1 - u,
    "cosine": lambda u: (1 + math.cos(math.pi * u)) / 2,
    "sqrt": lambda u: 1 - math.sqrt(u),
}


def warms_up_throughout(call: Any, clock: Clock, arguments: Arguments) -> Iterable[Notice]:
    """A warm-up that leaves no step of the phase for the rest."""
    warmup: Length = arguments["warmup"]
    if warmup.steps(clock) >= clock.steps > 1:
        yield Notice(
            Topic.WARMUP_TOO_LONG,
            f"{call} warms up for as long as its phase lasts",
            "warm up over 1-10% of the run, such as warmup=5%",
        )


@register(
    "wsd",
    "warms up, stays, and falls at the end",
    family="ordered",
    formula="b min(1, (t+1)/W) until T-D, then to + (b-to) s(u), u=(t-T+D)/D",
    torch="SequentialLR of LinearLR, ConstantLR, LinearLR",
    decays=True,
    notices=[warms_up_throughout],
)
def wsd(
    clock: Clock,
    lr: float,
    *,
    warmup: Length = WARMUP,
    decay: Length = DECAY,
    shape: Literal["linear", "cosine", "sqrt"] = "linear",
    to: Level = ZERO,
) -> Curve:
    """Warm up, stay at the base LR, and fall to the LR `to` within the last `decay`.

    Formula: `b min(1, (t+1)/W)` until T-D, then `to + (b-to) s(u)`, u = (t-T+D)/D, s by `shape`:
    1-u, (1+cos(pi u))/2, 1-sqrt(u). Source: Hu et al. 2024, arXiv:2404.06395; the shapes from
    Hägele et al. 2024, arXiv:2405.18392.

    >>> from lrbench.schedules import parse
    >>> parse("wsd(warmup=2it, decay=2it)").table(lr=1.0, steps=6, steps_per_epoch=6)
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.5]
    """
    rise, steps, low = warmup.steps(clock), clock.steps, to.of(lr)
    fall = min(decay.steps(clock), steps)
    cooldown = COOLDOWNS[shape]

    def curve(step: int) -> float:
        risen = lr * min(1.0, (step + 1) / rise)
        left = cooldown(min(1.0, max(0.0, (step - steps + fall) / fall)))
        return min(risen, low + (lr - low) * left) if step < rise else low + (lr - low) * left

    return curve


@register(
    "knee",
    "stays, then falls along a straight line",
    family="ordered",
    formula="b until E, then b (T-t)/(T-E)",
    torch="SequentialLR of ConstantLR, LinearLR",
    decays=True,
)
def knee(clock: Clock, lr: float, explore: Length = EXPLORE) -> Curve:
    """Explore at the base LR, then exploit along a straight line to 0.

    Formula: `b` for E steps, then `b (T-t)/(T-E)`. Source: Iyer et al. 2023, JMLR 24(65).

    >>> from lrbench.schedules import parse
    >>> parse("knee").table(lr=1.0, steps=8, steps_per_epoch=8)
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    rest = max(1, clock.steps - explore.steps(clock))
    return lambda step: lr * min(1.0, max(0, clock.steps - step) / rest)


@register(
    "rex",
    "falls slowly at first and fast at the end",
    family="ordered",
    formula="b (1-p)/(1-p/2)",
    decays=True,
)
def rex(clock: Clock, lr: float) -> Curve:
    """Reflected exponential: above linear all the way, with no parameter.

    Formula: `b (1-p)/(1-p/2)`. Source: Chen et al. 2022, arXiv:2107.04197.

    >>> from lrbench.schedules import parse
    >>> parse("rex").table(lr=3.0, steps=2, steps_per_epoch=2)
    [3.0, 2.0]
    """

    def curve(step: int) -> float:
        done = min(1.0, step / clock.steps)
        return lr * (1 - done) / (1 - done / 2)

    return curve


@register(
    "tanh",
    "stays, falls, and flattens out along a hyperbolic tangent",
    family="ordered",
    formula="m + (b-m)(1-tanh(lb(1-p) + ub p))/2",
    decays=True,
)
def tanh(
    clock: Clock, lr: float, *, lb: float = -7.0, ub: float = 3.0, min_: Level = ZERO
) -> Curve:
    """Along a tanh between its arguments `lb` and `ub`.

    Formula: `min + (b-min)(1-tanh(lb (1-p) + ub p))/2`. Source: Hsueh et al. 2018,
    arXiv:1806.01593; the defaults as in timm.

    >>> from lrbench.schedules import parse
    >>> parse("tanh(lb=-1, ub=1)").table(lr=1.0, steps=2, steps_per_epoch=2)[1]
    0.5
    """
    low = min_.of(lr)

    def curve(step: int) -> float:
        done = min(1.0, step / clock.steps)
        return low + (lr - low) * (1 - math.tanh(lb * (1 - done) + ub * done)) / 2

    return curve


@register(
    "power",
    "warms up, then falls like a power of the time",
    family="ordered",
    formula="b min(n/W, (n/W)^-a), n=t+1",
    notices=[warms_up_throughout],
)
def power(clock: Clock, lr: float, *, a: Positive = 1.0, warmup: Length = WARMUP) -> Curve:
    """Rise along a straight line for W steps, then fall with the power `a` of the time.

    Formula: `b min(n/W, (n/W)^-a)`, n = t+1. Source: the family of INV (Caffe) and of the
    inverse square root (a=0.5).

    >>> from lrbench.schedules import parse
    >>> parse("power(warmup=2it)").table(lr=1.0, steps=4, steps_per_epoch=4)[::3]
    [0.5, 0.5]
    """
    rise = warmup.steps(clock)
    return lambda step: lr * min((step + 1) / rise, ((step + 1) / rise) ** -a)


@register(
    "inverse_sqrt",
    "warms up, then falls like one over the root of the time",
    family="ordered",
    formula="b min(n/W, sqrt(W/n)), n=t+1",
    notices=[warms_up_throughout],
)
def inverse_sqrt(clock: Clock, lr: float, *, warmup: Length = WARMUP) -> Curve:
    """Rise along a straight line for W steps, then fall with the root of the time.

    Formula: `b min(n/W, sqrt(W/n))`, n = t+1. Source: Vaswani et al. 2017, arXiv:1706.03762,
    scaled so that the peak is b, as in fairseq.

    >>> from lrbench.schedules import parse
    >>> parse("inverse_sqrt(warmup=1it)").table(lr=1.0, steps=4, steps_per_epoch=4)[::3]
    [1.0, 0.5]
    """
    rise = warmup.steps(clock)
    return lambda step: lr * min((step + 1) / rise, math.sqrt(rise / (step + 1)))


@register(
    "noam",
    "the schedule of the first Transformer, scaled by the width of the model",
    family="ordered",
    formula="b d^-0.5 min(n^-0.5, n W^-1.5), n=t+1",
    own_scale=True,
    notices=[warms_up_throughout],
)
def noam(clock: Clock, lr: float, *, d: Positive = 512.0, warmup: Length = WARMUP) -> Curve:
    """`inverse_sqrt` times (d W)^-0.5: its peak is not the base LR.

    Formula: `b d^-0.5 min(n^-0.5, n W^-1.5)`, n = t+1. Source: Vaswani et al. 2017,
    arXiv:1706.03762, section 5.3; Paddle's `NoamDecay`.

    >>> from lrbench.schedules import parse
    >>> parse("noam(d=4, warmup=4it)").table(lr=1.0, steps=16, steps_per_epoch=4)[3::12]
    [0.25, 0.125]
    """
    rise, scale = warmup.steps(clock), lr / math.sqrt(d)

    def curve(step: int) -> float:
        number = step + 1
        return scale * min(1 / math.sqrt(number), number / math.pow(rise, 1.5))

    return curve


@register(
    "slanted_triangular",
    "rises fast and falls slowly along straight lines",
    family="cyclic",
    formula="b (1 + x(r-1))/r, x=t/C up to C, then (T-t)/(T-C)",
    decays=True,
)
def slanted_triangular(
    clock: Clock, lr: float, *, cut: Moment = CUT, ratio: AtLeastOne = 32.0
) -> Curve:
    """From b/`ratio` up to the base LR at the moment `cut`, and back at the end.

    Formula: `b (1 + x(r-1))/r`, x = t/C up to C, then (T-t)/(T-C). Source: Howard & Ruder 2018,
    arXiv:1801.06146.

    >>> from lrbench.schedules import parse
    >>> parse("slanted_triangular(cut=1it, ratio=4)").table(lr=4.0, steps=4, steps_per_epoch=4)
    [1.0, 4.0, 3.0, 2.0]
    """
    top, end = cut.steps(clock), clock.steps
    rest = max(1, end - top)

    def curve(step: int) -> float:
        share = step / top if step < top else max(0.0, 1 - (step - top) / rest)
        return lr * (1 + share * (ratio - 1)) / ratio

    return curve
