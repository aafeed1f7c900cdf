"""What a comparison asks of a task before anything is trained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lrbench.errors import UsageError
from lrbench.experiment import CompareSpec, Recipe
from lrbench.session.size import steps_by_batch_size


class Bench:
    """A workbench whose task has its own batches, or takes those of the recipe."""

    def __init__(self, samples: int | None, recipe: Recipe | None = None) -> None:
        self.samples = samples
        self.recipe = recipe or Recipe()

    def at(self, recipe: Recipe) -> Bench:
        return Bench(self.samples, recipe)

    @property
    def tuning_task(self) -> Any:
        return SimpleNamespace(samples_per_step=self.samples or self.recipe.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        return 3584 // self.tuning_task.samples_per_step


def test_each_batch_size_has_its_steps() -> None:
    spec = CompareSpec(batch_sizes=(64, 128))
    assert steps_by_batch_size(spec, Bench(None)) == {64: 56, 128: 28}  # type: ignore[arg-type]


def test_a_task_with_batches_of_its_own_is_not_compared_with_itself() -> None:
    spec = CompareSpec(batch_sizes=(64, 128))
    with pytest.raises(UsageError, match="--batch-size 64,128: this task sets its own"):
        steps_by_batch_size(spec, Bench(32))  # type: ignore[arg-type]
    assert steps_by_batch_size(CompareSpec(), Bench(32)) == {128: 112}  # type: ignore[arg-type]
