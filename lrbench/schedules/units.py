"""Time and learning rates as specs write them, and what they come to on the clock of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from lrbench.errors import UsageError

Unit = Literal["ep", "it", "%"]


@dataclass(frozen=True)
class Clock:
    """The time that a schedule sees, in optimizer steps.

    `steps` is the length of its own phase, which begins at step `start` of a run of `run_steps`
    steps; percentages are of the run.
    """

    steps: int
    steps_per_epoch: int
    run_steps: int
    start: int = 0

    @staticmethod
    def of_run(steps: int, steps_per_epoch: int) -> Clock:
        """The clock of a whole run.

        Raises:
            UsageError: one of the two is not a whole number of at least 1.
        """
        for name, value in (("steps", steps), ("steps_per_epoch", steps_per_epoch)):
            if isinstance(value, bool) or value != int(value) or value < 1:
                raise UsageError(f"{name} must be a whole number of at least 1, not {value}")
        return Clock(int(steps), int(steps_per_epoch), int(steps))

    @property
    def epochs(self) -> float:
        """The length of the phase in epochs."""
        return self.steps / self.steps_per_epoch

    def phase(self, start: int, steps: int) -> Clock:
        """The clock of a phase that begins `start` steps after this clock's own beginning."""
        return replace(self, start=self.start + start, steps=steps)

    def counted(self, update: str) -> Clock:
        """This clock in calls of `scheduler.step()`: one an epoch, or one a step."""
        size = self.steps_per_epoch if update == "epoch" else 1
        return Clock(-(-self.steps // size), 1, -(-self.run_steps // size), self.start // size)


@dataclass(frozen=True)
class Length:
    """A stretch of time: epochs (`10ep`), optimizer steps (`500it`), a share of the run (`5%`)."""

    amount: float
    unit: Unit = "ep"

    def on(self, clock: Clock) -> float:
        """The length in steps, not yet rounded: sums are made first, then rounded."""
        if self.unit == "ep":
            return self.amount * clock.steps_per_epoch
        return self.amount if self.unit == "it" else self.amount * clock.run_steps / 100

    def steps(self, clock: Clock) -> int:
        """The length in whole steps, at least 1."""
        return max(1, half_up(self.on(clock)))

    def __str__(self) -> str:
        return number_text(self.amount) + self.unit


class Moment(Length):
    """A point in time, counted from the start of its phase: what changes there is changed from
    that step on."""


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
    """The nearest whole number, halves upwards.

    >>> half_up(2.5), half_up(3.5), half_up(0.29 * 50 + 0.2 * 50 - 22)
    (3, 4, 3)
    """
    return math.floor(round(steps, 9) + 0.5)  # 9 digits: sums such as 14.5 + 10 - 22 are halves


def tidy(value: float, digits: int = 12) -> float:
    """The value without the last bits that multiplying left behind.

    >>> tidy(0.1 * 3)
    0.3
    """
    return float(f"{value:.{digits}g}")


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number.

    >>> number_text(30.0), number_text(0.1), number_text(1e-05), number_text(1e22)
    ('30', '0.1', '1e-5', '1e22')
    """
    if float(value).is_integer() and abs(value) < 1e16:
        return str(int(value))
    mantissa, _, exponent = repr(float(value)).partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


@dataclass(frozen=True)
class Intervals:
    """Time cut into pieces of `size`, `size`·`growth`, `size`·`growth`², … steps.

    The boundaries are summed first, then rounded half up; with whole numbers all of it is
    integer arithmetic, so that a boundary is met exactly however far away it is.

    >>> Intervals.of(10, 3).at(1210)
    (5, 1210, 3640)
    """

    size: int | float
    growth: int | float = 1

    @staticmethod
    def of(size: float, growth: float = 1.0) -> Intervals:
        """Pieces of at least one step."""
        return Intervals(_whole(max(1.0, size)), _whole(growth))

    def boundary(self, index: int) -> int:
        """The first step of piece `index`, counted from 0."""
        if self.growth == 1:
            total = self.size * index
        elif isinstance(self.growth, int):
            total = self.size * ((self.growth**index - 1) // (self.growth - 1))
        else:
            total = self.size * math.expm1(index * math.log(self.growth)) / (self.growth - 1)
        return total if isinstance(total, int) else half_up(total)

    def at(self, step: int) -> tuple[int, int, int]:
        """The piece that `step` lies in: its index, its first step, and that of the next."""
        index = self._guess(step)
        while index > 0 and self.boundary(index) > step:
            index -= 1
        while self.boundary(index + 1) <= step:
            index += 1
        return index, self.boundary(index), self.boundary(index + 1)

    def _guess(self, step: int) -> int:
        """Near the index; rounding of floats may put it one beside."""
        if self.growth == 1:
            return int(step // self.size)
        return int(math.log1p(step / self.size * (self.growth - 1)) / math.log(self.growth))


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)
