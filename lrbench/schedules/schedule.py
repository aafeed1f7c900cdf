"""A schedule: what a spec stands for, to be bound to a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from lrbench.errors import Notice, UsageError
from lrbench.schedules.bound import Bound
from lrbench.schedules.spec import Call, Spec
from lrbench.schedules.units import Clock

MANY_STEPS = 20_000


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule: LR as a function of the step, once it is bound to a run.

    Equal schedules have equal texts, and `parse(str(schedule)) == schedule`.

    >>> from lrbench.schedules import parse
    >>> parse("warmup(2it) + linear").table(lr=1.0, steps=6, steps_per_epoch=2)
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """

    spec: Spec
    remarks: tuple[Notice, ...] = field(default=(), compare=False)  # on what parsing dropped

    def __str__(self) -> str:
        return str(self.spec)

    def calls(self) -> tuple[Call, ...]:
        """Its phases in order, repetitions written out."""
        return self.spec.calls()

    def bind(self, lr: float, steps: int, steps_per_epoch: int) -> Bound:
        """The schedule on a run of `steps` optimizer steps from the base LR `lr`.

        Raises:
            UsageError: a number is invalid, or the schedule does not fit such a run.
        """
        if not 0 < lr < float("inf"):
            raise UsageError(f"a base learning rate is a finite number above 0, not {lr}")
        return Bound(self.calls(), Clock.of_run(steps, steps_per_epoch), float(lr))

    def table(self, *, lr: float, steps: int, steps_per_epoch: int) -> list[float]:
        """The LR of every step of a run."""
        bound = self.bind(lr, steps, steps_per_epoch)
        return [bound.lr(step) for step in range(steps)]

    def peak(self, steps: int, steps_per_epoch: int) -> float:
        """The highest LR over the base LR: 1.0 but for schedules with a scale of their own."""
        return _peak(self, steps, steps_per_epoch)

    @property
    def fixed_lr(self) -> float | None:
        """The LR that the spec itself names, as `OneCycleLR(max_lr=0.1)` does."""
        named = (
            call.definition.fixed(call.arguments) for call in self.calls() if call.definition.fixed
        )
        return next((lr for lr in named if lr is not None), None)

    @property
    def metric(self) -> str | None:
        """The metric that the schedule adapts to, such as `val_loss`."""
        last = self.calls()[-1]
        return last.definition.watches(last.arguments) if last.definition.watches else None

    @property
    def adaptive(self) -> bool:
        """Whether the LR depends on how the training goes."""
        return self.metric is not None


@lru_cache(maxsize=4096)
def _peak(schedule: Schedule, steps: int, steps_per_epoch: int) -> float:
    if not any(call.definition.own_scale for call in schedule.calls()):
        return 1.0
    bound = schedule.bind(1.0, steps, steps_per_epoch)
    stride = max(1, steps // MANY_STEPS)
    highest = max(bound.lr(step) for step in range(0, steps, stride))
    return highest if highest > 0 else 1.0
