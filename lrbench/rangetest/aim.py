"""The run an answer is for: a schedule of some length, approximated by shorter trainings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lrbench.options import FindSpec
from lrbench.plan.factors import MANY_STEPS, MOST_FACTOR, lr_factor
from lrbench.rangetest.result import FindResult
from lrbench.rangetest.training import Pace
from lrbench.schedules import check, parse
from lrbench.tasks.base import Task, optimizer_steps

TRIED = 128  # steps of the trainings that represent a longer run
TRUSTED = 10  # times as long at most: beyond that, the root rule was up to a factor of 2 too low
ANY_LR = 0.1
BY_RULE = "untried: the answer comes from a rule and the sweep alone; pass --verify"
FAR = (
    f"far: the run is over {TRUSTED} times as long as the short trainings; up to twice the LR may "
    "work"
)


@dataclass(frozen=True)
class Aim:
    """A run of `steps` steps under a schedule. Its base learning rate is `factor` times that of a
    constant schedule with as many steps (Schaipp et al. 2025, arXiv:2501.18965), its highest one
    `peak` times the base. `paces` are those of the run's steps or, if a short training has fewer,
    of that many evenly spaced ones."""

    schedule: str
    epochs: int | None
    steps: int
    factor: float
    peak: float
    paces: tuple[Pace, ...]

    @staticmethod
    def of(spec: FindSpec, task: Task) -> Aim | None:
        """The aim of a spec; None without a schedule.

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
        peak = schedule.peak(steps, per_epoch)
        paces = ((bound.lr(step), bound.momentum(step)) for step in _spread(steps, TRIED))
        factor = min(lr_factor(table), MOST_FACTOR / max(table))
        return Aim(spec.schedule, epochs, steps, factor, peak, tuple(paces))

    @property
    def tried(self) -> int:
        """The number of steps of the short trainings."""
        return len(self.paces)

    @property
    def horizon(self) -> float:
        """Ratio of the run's learning rate to that of the short trainings under the same schedule:
        the bound's optimum falls with the square root of the length."""
        return math.sqrt(self.tried / self.steps)

    def guess(self, lr: float, steps: int) -> float:
        """The base learning rate of a short training under the schedule, given that of a constant
        schedule with `steps` steps."""
        return lr * self.factor * math.sqrt(steps / self.tried)

    def adjusted(self, found: FindResult, steps: int) -> FindResult:
        """The answer for the run, scaled from that of the short trainings under its schedule or,
        without any, from that of a sweep, which holds for `steps` steps at a constant LR."""
        checked, lr = found.verification, found.lr
        aim = {name: value for name, value in vars(self).items() if name != "paces"}
        aim |= {"tried_steps": self.tried, "horizon": self.horizon}
        if lr is not None:
            lr = (lr if checked else self.guess(lr, steps)) * self.horizon
            if checked:
                aim["equally_good"] = [each * self.horizon for each in checked["equally_good"]]
            aim["highest_lr"] = lr * self.peak
        aim["because"] = self._because(lr if checked else None)
        doubts = {BY_RULE: not checked, FAR: self.steps > TRUSTED * self.tried}
        return replace(found, lr=lr, aim=aim).doubted(doubts)

    def _because(self, lr: float | None) -> str:
        """The reason for the answer, as a sentence."""
        factor = f"{self.factor * self.peak:.1f}"
        more = "" if factor == "1.0" else f"{factor} times "
        words = [f"{self.schedule} tolerates {more}the constant LR"]
        if lr is not None:
            words += [f"{self.tried} steps under it do best at base LR {lr / self.horizon:.3g}"]
        if self.steps > self.tried:
            times = self.steps / self.tried
            words += [f"{times:.3g} times as many steps tolerate {self.horizon:.2g} of that"]
        return "; ".join(words)


def _spread(steps: int, most: int) -> list[int]:
    """At most `most` evenly spaced steps of a run.

    >>> _spread(3, 5), _spread(100, 4)
    ([0, 1, 2], [12, 37, 62, 87])
    """
    count = min(steps, most)
    return [int((place + 0.5) * steps / count) for place in range(count)]
