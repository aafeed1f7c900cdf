"""torch's own schedulers, with torch's arguments and torch's meaning, as functions of the count.

The count is the number of `scheduler.step()` calls so far: one an epoch, as users of these
classes step, but for `OneCycleLR` and `CyclicLR`, which are stepped once a batch; `update=step`
and `update=epoch` say otherwise. Arguments that torch requires have defaults that fit the run.

`last_epoch` and `verbose` are refused like any unknown parameter: the first restores a state,
and a schedule here has none; the second torch itself has dropped (a TypeError in torch 2.15).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from lrbench.schedules.definitions import (
    Bounds,
    Curve,
    F,
    Motion,
    NonNegative,
    Positive,
    Share,
    register,
)
from lrbench.schedules.torch_notices import late_milestones, one_stair, other_period
from lrbench.schedules.units import Clock, half_up

THIRD = 1.0 / 3
END = 0.01  # of the base LR at the end of the run: where a bare ExponentialLR leads
Count = Annotated[int, Bounds(1)]


class StartFactor(Bounds):
    """torch's limits for the `start_factor` of LinearLR."""

    def __contains__(self, value: float) -> bool:
        return 0 < value <= 1

    def __str__(self) -> str:
        return "above 0 and at most 1 (torch's limits; warmup(5%, from=0) starts at 0)"


@dataclass(frozen=True)
class Law(Motion):
    """A torch scheduler: `lr(count)` as if it were alone, and what chaining it takes.

    Attributes:
        after: (count, lr) -> LR, torch's recurrence: what `step()` makes of the LR that it finds
            at that count, and at count 0 what the constructor makes of it. None where the LR
            does not depend on the one before.
        factor: LR over base LR, for those that only ever multiply.
        enter: what it makes of the LR that it finds when its turn comes in a `SequentialLR`;
            None where it starts again from the base LR.
        initial: what its constructor makes of the group's `initial_lr`, from which all
            schedulers that are constructed later take their base LR.
        initial_if_first: it does so only where no scheduler has been constructed before.
    """

    after: Callable[[int, float], float] | None = None
    factor: Curve | None = None
    enter: Callable[[float], float] | None = None
    initial: float | None = None
    initial_if_first: bool = False

    def step(self, count: int, lr: float) -> float:
        """The LR at a count when the one before is `lr`."""
        return self.lr(count) if self.after is None else self.after(count, lr)


def of_torch(name: str, summary: str, **facts: Any) -> Callable[[F], F]:
    """`register` for one of torch's classes that count: stepped once an epoch by default."""
    usual = {"torch": name, "update": "epoch", "counts": True, "takes_optimizer": True}
    return register(name, f"torch: {summary}", **{**usual, **facts})


def multiplies(base: float, factor: Curve, enter: Callable[[float], float] | None = None) -> Law:
    """The law of a scheduler that multiplies the LR that it finds, and nothing else."""

    def after(count: int, lr: float) -> float:
        before = factor(count - 1) if count else 1.0
        return lr * factor(count) / before if before else lr

    return Law(lambda count: base * factor(count), after=after, factor=factor, enter=enter)


@of_torch(
    "ConstantLR",
    "a smaller LR for the first counts, then the base LR",
    family="warmup",
    formula="b factor until total_iters, then b",
    jumps=True,
)
def constant_lr(clock: Clock, lr: float, *, factor: Share = THIRD, total_iters: Count = 5) -> Law:
    """The base LR times `factor` before the count `total_iters`, the base LR from there on.

    Formula: `b factor` for n < total_iters, then `b`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> parse("ConstantLR(factor=0.5, total_iters=2)").table(lr=1.0, steps=4, steps_per_epoch=1)
    [0.5, 0.5, 1.0, 1.0]
    """
    return multiplies(lr, lambda count: factor if count < total_iters else 1.0)


@of_torch(
    "LinearLR",
    "from one factor of the base LR to another along a straight line",
    family="warmup",
    formula="b (s + (e-s) min(1, n/total_iters))",
)
def linear_lr(
    clock: Clock,
    lr: float,
    *,
    start_factor: Annotated[float, StartFactor(0, 1)] = THIRD,
    end_factor: Share = 1.0,
    total_iters: Count = 5,
) -> Law:
    """From `start_factor` to `end_factor` times the base LR within `total_iters` counts.

    Formula: `b (s + (e-s) min(1, n/total_iters))`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> spec = "LinearLR(start_factor=0.5, total_iters=2)"
    >>> parse(spec).table(lr=1.0, steps=4, steps_per_epoch=1)
    [0.5, 0.75, 1.0, 1.0]
    """

    def factor(count: int) -> float:
        done = min(1.0, count / total_iters)
        return start_factor * (1 - done) + end_factor * done

    return multiplies(lr, factor)


@of_torch(
    "StepLR",
    "falls by a factor after every stretch of equal length",
    family="ordered",
    formula="b gamma^floor(n/step_size)",
    jumps=True,
    decays=True,
    notices=[one_stair],
)
def step_lr(
    clock: Clock, lr: float, *, step_size: Count | None = None, gamma: NonNegative = 0.1
) -> Law:
    """The base LR times `gamma` once for each `step_size` counts; a third of the run by default.

    Formula: `b gamma^floor(n/step_size)`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> parse("StepLR(step_size=2, gamma=0.5)").table(lr=1.0, steps=5, steps_per_epoch=1)
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    size = step_size or -(-clock.steps // 3)
    return multiplies(lr, lambda count: gamma ** (count // size))


@of_torch(
    "MultiStepLR",
    "falls by a factor at each milestone",
    family="ordered",
    formula="b gamma^#{m <= n}",
    jumps=True,
    decays=True,
    notices=[late_milestones],
)
def multi_step_lr(
    clock: Clock,
    lr: float,
    *,
    milestones: tuple[Annotated[int, Bounds(0)], ...] | None = None,
    gamma: NonNegative = 0.1,
) -> Law:
    """The base LR times `gamma` for each milestone that is reached; 50 % and 75 % by default.

    As in torch the milestones may come in any order, and one named twice counts twice.
    Formula: `b gamma^#{m <= n}`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> parse("MultiStepLR([1, 3], gamma=0.5)").table(lr=1.0, steps=4, steps_per_epoch=1)
    [1.0, 0.5, 0.5, 0.25]
    """
    shares = (clock.steps / 2, clock.steps * 3 / 4)
    marks = sorted(map(half_up, shares) if milestones is None else milestones)
    return multiplies(lr, lambda count: gamma ** bisect_right(marks, count))


@of_torch(
    "ExponentialLR",
    "falls by the same factor at every count",
    family="ordered",
    formula="b gamma^n",
    decays=True,
)
def exponential_lr(clock: Clock, lr: float, *, gamma: NonNegative | None = None) -> Law:
    """The base LR times `gamma` to the count; to 1 % at the end of the run by default.

    Formula: `b gamma^n`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> parse("ExponentialLR(gamma=0.5)").table(lr=1.0, steps=3, steps_per_epoch=1)
    [1.0, 0.5, 0.25]
    """
    rate = END ** (1 / clock.steps) if gamma is None else gamma
    return multiplies(lr, lambda count: rate**count)


@of_torch(
    "PolynomialLR",
    "falls to 0 along a power of the counts left",
    family="ordered",
    formula="b (1 - min(1, n/total_iters))^power",
    decays=True,
)
def polynomial_lr(clock: Clock, lr: float, *, total_iters: Count = 5, power: Positive = 1.0) -> Law:
    """Down to 0 at the count `total_iters`, where it stays.

    Formula: `b (1 - min(1, n/total_iters))^power`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> parse("PolynomialLR(total_iters=2)").table(lr=1.0, steps=4, steps_per_epoch=1)
    [1.0, 0.5, 0.0, 0.0]
    """
    return multiplies(lr, lambda count: (1 - min(1.0, count / total_iters)) ** power)


@of_torch(
    "CosineAnnealingLR",
    "falls along a cosine, and climbs back past T_max",
    family="ordered",
    formula="eta_min + (b-eta_min)(1+cos(pi n/T_max))/2",
    decays=True,
    notices=[other_period],
)
def cosine_annealing_lr(
    clock: Clock, lr: float, *, T_max: Positive | None = None, eta_min: NonNegative = 0.0
) -> Law:
    """A cosine of the period 2 `T_max`; half a period fills the run by default.

    It does not restart: past `T_max` it climbs back the way that it came.
    Formula: `eta_min + (b-eta_min)(1+cos(pi n/T_max))/2`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> table = parse("CosineAnnealingLR(T_max=2)").table(lr=1.0, steps=6, steps_per_epoch=1)
    >>> [round(lr, 12) for lr in table]
    [1.0, 0.5, 0.0, 0.5, 1.0, 0.5]
    """
    half = T_max or clock.steps

    def way(count: int) -> float:
        return 1 + math.cos(math.pi * count / half)

    def after(count: int, found: float) -> float:
        if count == 0:
            return found
        if (count - 1 - half) % (2 * half) == 0:
            return found + (lr - eta_min) * (1 - math.cos(math.pi / half)) / 2
        return way(count) / way(count - 1) * (found - eta_min) + eta_min

    return Law(lambda count: eta_min + (lr - eta_min) * way(count) / 2, after=after)
