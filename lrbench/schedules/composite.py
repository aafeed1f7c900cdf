"""The phases that others are put together with: staying, and warming up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

from lrbench.errors import Notice, Topic, UsageError
from lrbench.schedules.definitions import Arguments, Curve, register
from lrbench.schedules.units import Clock, Length, Level, number_text

FULL = Level(100, relative=True)
FIVE_PERCENT = Length(5, "%")
RATE = 5.0  # exponential warm-up covers 1 - e^-5 = 99.3 % of the way

SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "exp": lambda x: -math.expm1(-RATE * x),
    "exp_normalised": lambda x: math.expm1(-RATE * x) / math.expm1(-RATE),
    "constant": lambda x: float(x >= 1),
}


@register(
    "constant",
    "stays at one learning rate",
    family="ordered",
    formula="b",
    torch="ConstantLR(factor=1)",
    own_scale=True,
)
def constant(clock: Clock, lr: float, length: Length | None = None, *, at: Level = FULL) -> Curve:
    """Stay at the base LR, or at the LR `at`.

    Formula: `b`. Source: FIX of LRBench (Wu et al. 2019); plain SGD.

    >>> from lrbench.schedules import parse
    >>> parse("constant(2it, at=10%) + constant").table(lr=1.0, steps=4, steps_per_epoch=2)
    [0.1, 0.1, 1.0, 1.0]
    """
    level = at.of(lr)
    return lambda step: level


def longer_than_run(call: Any, clock: Clock, arguments: Arguments) -> Iterable[Notice]:
    """A warm-up that leaves no step of the run for what follows it."""
    length: Length = arguments["length"]
    if clock.start + clock.steps >= clock.run_steps and clock.run_steps > 1:
        epochs = number_text(clock.run_steps / clock.steps_per_epoch)
        yield Notice(
            Topic.WARMUP_TOO_LONG,
            f"{call} is as long as the run ({length} of {epochs}ep), so nothing follows it",
            "warm up over 1-10% of the run, such as warmup(5%)",
        )


@register(
    "warmup",
    "rises to the base LR",
    family="warmup",
    formula="f + (b-f) s(x), x=(t+1)/W; x=t/W with from=f",
    torch="LinearLR (with from)",
    notices=[longer_than_run],
)
def warmup(
    clock: Clock,
    lr: float,
    length: Length = FIVE_PERCENT,
    *,
    from_: Level | None = None,
    shape: Literal["linear", "exp", "exp_normalised", "constant"] = "linear",
) -> Curve:
    """Rise to the base LR within `length`, W steps.

    Formula: `f + (b-f) s(x)`, s by `shape`: `linear` x, `exp` 1-e^(-5x), `exp_normalised`
    (1-e^(-5x))/(1-e^-5), `constant` 0 before x=1. Without `from`, f=0 and x=(t+1)/W: no step is
    wasted at LR 0. With `from`, x=t/W: it starts at exactly f, as in torch's `LinearLR` and
    Paddle's `LinearWarmup`. Source: Goyal et al. 2017, arXiv:1706.02677.

    >>> from lrbench.schedules import parse
    >>> parse("warmup(4it) + constant").table(lr=1.0, steps=5, steps_per_epoch=5)
    [0.25, 0.5, 0.75, 1.0, 1.0]
    >>> parse("warmup(4it, from=0) + constant").table(lr=1.0, steps=5, steps_per_epoch=5)
    [0.0, 0.25, 0.5, 0.75, 1.0]

    Raises:
        UsageError: `shape=constant` without `from`.
    """
    if shape == "constant" and from_ is None:
        raise UsageError(
            "warmup(shape=constant) needs from: the LR that it stays at, such as from=10%"
        )
    low = 0.0 if from_ is None else from_.of(lr)
    ahead = 1 if from_ is None else 0
    rise, steps = SHAPES[shape], clock.steps

    def curve(step: int) -> float:
        return low + (lr - low) * rise(min(1.0, (step + ahead) / steps))

    return curve
