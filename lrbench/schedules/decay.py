"""Schedules that fall from the base LR: in stairs, along a curve, to the end of their phase."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any

from lrbench.errors import Notice, Topic, UsageError
from lrbench.schedules.custom import running_products
from lrbench.schedules.definitions import (
    Arguments,
    Curve,
    FactorPerTime,
    NonNegative,
    Positive,
    RatePerEpoch,
    Timed,
    register,
)
from lrbench.schedules.expression import Formula
from lrbench.schedules.units import Clock, Intervals, Length, Level, Moment, number_text

ZERO = Level(0)
MIDDLE, THREE_QUARTERS = Moment(50, "%"), Moment(75, "%")
END = 0.01  # of the base LR, at the end of the phase: where a bare exponential leads
SLOW_END = 0.05
FACTOR = Formula("0.01**(1/epochs)")


def unreached(call: Any, clock: Clock, arguments: Arguments) -> Iterable[Notice]:
    """Milestones at or past the end of the phase."""
    late = [moment for moment in arguments["milestones"] if moment.steps(clock) >= clock.steps]
    if late and clock.steps > 1:
        verb = "is" if len(late) == 1 else "are"
        yield Notice(
            Topic.MILESTONE_NOT_REACHED,
            f"{', '.join(map(str, late))} of {call} {verb} not reached: "
            f"its phase has {number_text(clock.epochs)}ep",
            "use shares of the run, such as multistep([50%, 75%])",
        )


def first_stair_unreached(call: Any, clock: Clock, arguments: Arguments) -> Iterable[Notice]:
    """A stair as long as the phase: the LR never falls."""
    size: Length | None = arguments["size"]
    if size is not None and size.steps(clock) >= clock.steps > 1:
        yield Notice(
            Topic.MILESTONE_NOT_REACHED,
            f"{call} never falls: its phase has {number_text(clock.epochs)}ep",
            "make size shorter, or use step for three equal stairs",
        )


@register(
    "step",
    "falls by a factor after every stretch of equal length",
    family="ordered",
    formula="b gamma^floor(t/s)",
    torch="StepLR",
    jumps=True,
    decays=True,
    notices=[first_stair_unreached],
)
def step(clock: Clock, lr: float, size: Length | None = None, *, gamma: NonNegative = 0.1) -> Curve:
    """Multiply the LR by `gamma` after every `size`; three equal stairs by default.

    Formula: `b gamma^floor(t/s)`, each boundary k·s rounded half up. Source: torch's `StepLR`.

    >>> from lrbench.schedules import parse
    >>> parse("step(2ep, gamma=0.5)").table(lr=4.0, steps=5, steps_per_epoch=1)
    [4.0, 4.0, 2.0, 2.0, 1.0]
    """
    stairs = Intervals.of(clock.steps / 3 if size is None else size.on(clock))
    return lambda step: lr * gamma ** stairs.at(step)[0]


@register(
    "multistep",
    "falls by a factor at each milestone",
    family="ordered",
    formula="b gamma^#{m <= t}",
    torch="MultiStepLR",
    jumps=True,
    decays=True,
    notices=[unreached],
)
def multistep(
    clock: Clock,
    lr: float,
    milestones: tuple[Moment, ...] = (MIDDLE, THREE_QUARTERS),
    *,
    gamma: NonNegative = 0.1,
) -> Curve:
    """Multiply the LR by `gamma` at each of the rising milestones, from its first step on.

    Formula: `b gamma^#{m <= t}`. Source: torch's `MultiStepLR`; He et al. 2015, arXiv:1512.03385.

    >>> from lrbench.schedules import parse
    >>> parse("multistep([2ep, 3ep], gamma=0.5)").table(lr=4.0, steps=5, steps_per_epoch=1)
    [4.0, 4.0, 2.0, 1.0, 1.0]

    Raises:
        UsageError: the milestones do not rise on this run's clock.
    """
    for before, after in pairwise(milestones):
        if after.on(clock) <= before.on(clock):
            raise UsageError(f"milestones must rise: {after} is not after {before} in this run")
    marks = [moment.steps(clock) for moment in milestones]
    return lambda step: lr * gamma ** bisect_right(marks, step)


@register(
    "exponential",
    "falls by the same factor in every epoch",
    family="ordered",
    formula="b gamma^e, e epochs",
    torch="ExponentialLR (update=epoch)",
    decays=True,
)
def exponential(clock: Clock, lr: float, *, gamma: FactorPerTime | None = None) -> Curve:
    """Multiply the LR by `gamma` per epoch, continuously; to 1 % at the end by default.

    Formula: `b gamma^e`, e = t / steps per epoch. Source: torch's `ExponentialLR`, equal to it
    with `update=epoch`.

    >>> from lrbench.schedules import parse
    >>> parse("exponential(gamma=0.25)").table(lr=1.0, steps=4, steps_per_epoch=2)
    [1.0, 0.5, 0.25, 0.125]
    """
    if gamma is None:
        return lambda step: lr * END ** (step / clock.steps)
    return lambda step: lr * gamma ** (step / clock.steps_per_epoch)


@register(
    "natural_exp",
    "falls like e^(-k epochs)",
    family="ordered",
    formula="b e^(-k e), e epochs",
    decays=True,
)
def natural_exp(clock: Clock, lr: float, *, k: RatePerEpoch | None = None) -> Curve:
    """The exponential by its rate `k` per epoch; to 1 % at the end by default.

    Formula: `b e^(-k e)`, e = t / steps per epoch. Source: Paddle's `NaturalExpDecay`.

    >>> from lrbench.schedules import parse
    >>> parse("natural_exp(k=0)").table(lr=1.0, steps=2, steps_per_epoch=2)
    [1.0, 1.0]
    """
    rate = -math.log(END) / clock.epochs if k is None else k
    return lambda step: lr * math.exp(-rate * step / clock.steps_per_epoch)


@register(
    "multiplicative",
    "is multiplied by a factor, an expression, after every epoch",
    family="ordered",
    formula="b f(1) f(2) … f(floor(e)), e epochs",
    torch="MultiplicativeLR",
    jumps=True,
    decays=True,
)
def multiplicative(
    clock: Clock, lr: float, factor: Annotated[Formula, Timed.FACTOR] = FACTOR
) -> Curve:
    """Multiply the LR by the expression `factor` when an epoch begins, but for the first.

    Formula: `b f(1) f(2) … f(floor(e))`, e = t / steps per epoch; past the end of its phase it
    stays. Source: torch's `MultiplicativeLR`.

    >>> from lrbench.schedules import parse
    >>> parse('multiplicative("1/(1+epoch)")').table(lr=6.0, steps=4, steps_per_epoch=1)
    [6.0, 3.0, 1.0, 0.25]
    """
    products = running_products(clock, factor)
    return lambda step: lr * products[min(step // clock.steps_per_epoch, len(products) - 1)]


@register(
    "inverse_time",
    "falls like one over the time",
    family="ordered",
    formula="b (1+k e)^-q, e epochs",
    decays=True,
)
def inverse_time(
    clock: Clock, lr: float, *, k: RatePerEpoch | None = None, power: Positive = 1.0
) -> Curve:
    """Time decay with rate `k` per epoch; to 5 % at the end by default.

    Formula: `b (1+k e)^-power`, e = t / steps per epoch. Source: Paddle's `InverseTimeDecay`;
    INV of Caffe and LRBench.

    >>> from lrbench.schedules import parse
    >>> parse("inverse_time(k=1)").table(lr=6.0, steps=3, steps_per_epoch=1)
    [6.0, 3.0, 2.0]
    """
    rate = (SLOW_END ** (-1 / power) - 1) / clock.epochs if k is None else k
    return lambda step: lr * (1 + rate * step / clock.steps_per_epoch) ** -power


@register(
    "polynomial",
    "falls to the end along a power of the time left",
    family="ordered",
    formula="m + (b-m)(1-p)^q",
    torch="PolynomialLR",
    decays=True,
)
def polynomial(clock: Clock, lr: float, *, power: Positive = 1.0, to: Level = ZERO) -> Curve:
    """Fall to the LR `to` along the time that is left, to the power `power`.

    Formula: `to + (b-to)(1-t/T)^power`. Source: torch's `PolynomialLR`; Chen et al. 2017,
    arXiv:1606.00915.

    >>> from lrbench.schedules import parse
    >>> parse("polynomial(power=2)").table(lr=16.0, steps=4, steps_per_epoch=1)
    [16.0, 9.0, 4.0, 1.0]
    """
    low = to.of(lr)
    return lambda step: low + (lr - low) * (1 - min(1.0, step / clock.steps)) ** power


@register(
    "linear",
    "falls to the end along a straight line",
    family="ordered",
    formula="m + (b-m)(1-p)",
    torch="LinearLR(start_factor=1)",
    decays=True,
)
def linear(clock: Clock, lr: float, *, to: Level = ZERO) -> Curve:
    """Fall to the LR `to` along a straight line.

    Formula: `to + (b-to)(1-t/T)`. Source: torch's `LinearLR`; Defazio et al. 2023,
    arXiv:2310.07831.

    >>> from lrbench.schedules import parse
    >>> parse("linear(to=50%)").table(lr=8.0, steps=4, steps_per_epoch=1)
    [8.0, 7.0, 6.0, 5.0]
    """
    return polynomial(clock, lr, to=to)


@register(
    "cosine",
    "falls to the end along half a cosine",
    family="ordered",
    formula="m + (b-m)(1+cos(pi p^q))/2",
    torch="CosineAnnealingLR",
    decays=True,
)
def cosine(clock: Clock, lr: float, *, min_: Level = ZERO, power: Positive = 1.0) -> Curve:
    """Fall to the LR `min` along half a cosine; it does not rise again.

    Formula: `min + (b-min)(1+cos(pi (t/T)^power))/2`. Source: Loshchilov & Hutter 2017,
    arXiv:1608.03983; `power` is the k-decay of Zhang & Li 2020, arXiv:2004.05909.

    >>> from lrbench.schedules import parse
    >>> [round(lr, 12) for lr in parse("cosine").table(lr=1.0, steps=4, steps_per_epoch=1)]
    [1.0, 0.853553390593, 0.5, 0.146446609407]
    """
    low, steps = min_.of(lr), clock.steps

    def curve(step: int) -> float:
        done = min(step, steps)
        angle = math.pi * done / steps if power == 1 else math.pi * (done / steps) ** power
        return low + (lr - low) * (1 + math.cos(angle)) / 2

    return curve
