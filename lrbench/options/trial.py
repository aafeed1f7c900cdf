"""One training run, fully named."""

from __future__ import annotations

from typing import Literal

from lrbench.options.recipe import Recipe
from lrbench.options.values import Epochs, Frozen, Positive, Seed, digest
from lrbench.schedules import Schedule as ParsedSchedule
from lrbench.schedules import parse, stretched


class TrialSpec(Frozen):
    """One training run, fully named: two equal specs mean the same training.

    `lr_reference` is the LR at which absolute LRs of parameter groups hold; at another LR they
    are scaled with it. `stretch` is this training's length as a share of the one that the
    schedules were written for, where that is another. A `contender` stands for its optimizer.
    `study` numbers repetitions of the whole comparison; None is the first.
    """

    recipe: Recipe
    schedule: str
    lr: Positive
    seed: Seed
    stage: Literal["tune", "final"]
    epochs: Epochs
    lr_reference: Positive | None = None
    stretch: Positive | None = None
    contender: bool = False
    study: int | None = None

    @property
    def name(self) -> str:
        """What the ranking calls it: the schedule, or the optimizer of a contender."""
        return self.recipe.optimizer if self.contender else self.schedule

    @property
    def id(self) -> str:
        return digest(self.canonical())

    def trained(self, schedule: str) -> ParsedSchedule:
        """A schedule as this trial trains it: on its own budget.

        Raises:
            UsageError: it cannot be stretched to that.
        """
        return stretched(parse(schedule), self.stretch)
