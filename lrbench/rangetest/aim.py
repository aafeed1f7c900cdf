"""The run that an answer is for: a schedule of some length, seen through shorter trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lrbench.engine.method import optimizer_steps
from lrbench.options import FindSpec
from lrbench.plan.factors import MANY_STEPS, MOST_FACTOR, lr_factor
from lrbench.rangetest.result import FindResult
from lrbench.rangetest.sweep import Pace
from lrbench.schedules import check, parse
from lrbench.tasks.base import Task

TRIED = 128  # steps of the trainings that stand for a longer run
ANY_LR = 0.1
BY_RULE = "untried: the answer is a rule's, from the sweep alone; pass --verify"


@dataclass(frozen=True)
class Aim:
    """A run of `steps` steps under a schedule. The base learning rate that it bears is `factor`
    times that of a constant schedule of as many steps (Schaipp et al. 2025, arXiv:2501.18965), its
    highest one `peak` times the base. `paces` are those of the run, or of as many of its steps as a
    short training has, evenly spaced.
    """

    schedule: str
    epochs: int | None
    steps: int
    factor: float
    peak: float
    paces: tuple[Pace, ...]

    @staticmethod
    def of(spec: FindSpec, task: Task) -> Aim | None:
        """None without a schedule.

        Raises:
            UsageError: the schedule does not fit the run.
        """
        if spec.schedule is None:
            return None
        schedule = parse(spec.schedule)
        per_epoch = optimizer_steps(task, spec.recipe)
        epochs = None if spec.steps else spec.run_epochs
        steps = spec.steps or spec.run_epochs * per_epoch
        check(schedule, ANY_LR, steps, per_epoch)
        bound = schedule.bind(1.0, steps, per_epoch)
        table = [bound.lr(step) for step in _spread(steps, MANY_STEPS)]
        paces = (Pace(bound.lr(step), bound.momentum(step)) for step in _spread(steps, TRIED))
        factor = min(lr_factor(table), MOST_FACTOR / max(table))
        return Aim(spec.schedule, epochs, steps, factor, max(table), tuple(paces))

    def horizon(self, steps: int) -> float:
        """The learning rate of the run over that of a run of fewer `steps` of the same shape: the
        square root of the ratio of lengths, as the bound has it."""
        return math.sqrt(min(steps, self.steps) / self.steps)

    def guess(self, lr: float, steps: int) -> float:
        """The base learning rate of a short training under the schedule, from that of a constant
        one of `steps` steps."""
        return lr * self.factor * math.sqrt(steps / len(self.paces))

    def adjusted(self, found: FindResult, steps: int) -> FindResult:
        """The answer for the run, from that of the short trainings under its schedule, or without
        any from that of a sweep, which is one for `steps` constant steps."""
        if found.lr is None:
            return replace(found, aim={**self.to_dict(), "because": self._because(None)})
        checked = found.verification
        tried = found.lr if checked else self.guess(found.lr, steps)
        horizon = self.horizon(len(self.paces))
        equal = [lr * horizon for lr in checked["equally_good"]] if checked else None
        lr = tried * horizon
        aim = {"highest_lr": lr * self.peak, "equally_good": equal}
        because = self._because(checked["lr"] if checked else None)
        found = replace(found, lr=lr, aim={**self.to_dict(), **aim, "because": because})
        if checked:
            return found
        return replace(found, grade="weak", reasons=(*found.reasons, BY_RULE))

    def _because(self, tried: float | None) -> str:
        """The reason for the answer, as a sentence."""
        words = f"{self.schedule} bears {self.factor:.1f} times the constant LR"
        short = len(self.paces)
        if tried is not None:
            words += f"; under it, trainings of {short} steps end best at {tried:.2g}"
        if self.steps > short:
            times = self.steps / short
            words += f", and {times:.2g} times as many steps bear {self.horizon(short):.2g} of that"
        return words

    def to_dict(self) -> dict[str, Any]:
        known: Mapping[str, Any] = vars(self)
        return {
            **{name: value for name, value in known.items() if name != "paces"},
            "tried_steps": len(self.paces),
            "horizon": self.horizon(len(self.paces)),
        }


def _spread(steps: int, most: int) -> list[int]:
    """At most so many steps of a run, evenly spaced.

    >>> _spread(3, 5), _spread(100, 4)
    ([0, 1, 2], [12, 37, 62, 87])
    """
    count = min(steps, most)
    return [int((place + 0.5) * steps / count) for place in range(count)]
