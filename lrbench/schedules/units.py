"""Lengths and learning rates as written in specs, and the clock that turns them into numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from lrbench.errors import UsageError

Unit = Literal["ep", "it", "%"]


@dataclass(frozen=True)
class Clock:
    """The place of a phase in a run, in optimizer steps: `steps` long, from step `start` of a run
    of `run_steps` steps. Percentages are of the run."""

    steps: int
    steps_per_epoch: int
    run_steps: int
    start: int = 0

    @staticmethod
    def of_run(steps: int, steps_per_epoch: int) -> Clock:
        """The clock of a whole run. Raises UsageError unless both are whole numbers of at least
        1."""
        for name, value in (("steps", steps), ("steps_per_epoch", steps_per_epoch)):
            if isinstance(value, bool) or value != int(value) or value < 1:
                raise UsageError(f"{name} must be a whole number of at least 1, not {value}")
        return Clock(int(steps), int(steps_per_epoch), int(steps))

    def phase(self, start: int, steps: int) -> Clock:
        """The clock of a phase that begins `start` steps after this clock."""
        return replace(self, start=self.start + start, steps=steps)

    def counts(self, update: str) -> int:
        """The number of `scheduler.step()` calls: one per epoch or one per step."""
        return -(-self.steps // (self.steps_per_epoch if update == "epoch" else 1))


@dataclass(frozen=True)
class Length:
    """A length of time: epochs (`10ep`), optimizer steps (`500it`), a share of the run (`5%`)."""

    amount: float
    unit: Unit = "ep"

    def on(self, clock: Clock) -> float:
        """The length in steps, not rounded."""
        if self.unit == "ep":
            return self.amount * clock.steps_per_epoch
        return self.amount if self.unit == "it" else self.amount * clock.run_steps / 100

    def steps(self, clock: Clock) -> int:
        """The length in whole steps, at least 1."""
        return max(1, half_up(self.on(clock)))

    def __str__(self) -> str:
        return number_text(self.amount) + self.unit


@dataclass(frozen=True)
class Level:
    """A learning rate: absolute (`1e-5`), or relative to the base LR (`1%`)."""

    amount: float
    relative: bool = False

    def of(self, base_lr: float) -> float:
        return base_lr * (self.amount / 100) if self.relative else self.amount

    def __str__(self) -> str:
        return number_text(self.amount) + ("%" if self.relative else "")


def half_up(steps: float) -> int:
    """The nearest integer; halves are rounded up."""
    return math.floor(round(steps, 9) + 0.5)  # 9 digits: sums such as 14.5 + 10 - 22 are halves


def tidy(value: float, digits: int = 12) -> float:
    """The value without floating-point noise: `tidy(0.1 * 3)` is 0.3."""
    return float(f"{value:.{digits}g}")


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number: 30, 0.1, 1e-5, 1e22."""
    if float(value).is_integer() and abs(value) < 1e16:
        return str(int(value))
    mantissa, _, exponent = repr(float(value)).partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def piece(t: int, size: float, growth: float = 1.0) -> tuple[int, int, int]:
    """The piece of time that contains step `t`, for pieces of length `size`, `size`·`growth`, … (at
    least 1 step): its index, its first step, and the first step of the next piece.

    Boundaries are summed first, then rounded half up. Whole numbers use integer arithmetic, so
    boundaries are exact however far away.
    """
    size = max(1.0, size)
    size = int(size) if float(size).is_integer() else size
    growth = int(growth) if float(growth).is_integer() else growth

    def start(index: int) -> int:
        total: float
        if growth == 1:
            total = size * index
        elif isinstance(growth, int):
            total = size * ((growth**index - 1) // (growth - 1))
        else:
            total = size * math.expm1(index * math.log(growth)) / (growth - 1)
        return total if isinstance(total, int) else half_up(total)

    if growth == 1:
        index = int(t // size)
    else:
        index = int(math.log1p(t / size * (growth - 1)) / math.log(growth))
    while index > 0 and start(index) > t:  # rounding may be off by one
        index -= 1
    while start(index + 1) <= t:
        index += 1
    return index, start(index), start(index + 1)
