"""A recipe's tasks: the data is read once and shared by all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lrbench import plugins

if TYPE_CHECKING:
    import torch

    from lrbench.data import ImageData
    from lrbench.data.resident import Residents
    from lrbench.experiment import Recipe
    from lrbench.tasks.base import Task

Progress = Callable[[int, int], None]


class Source(Protocol):
    """Where the tasks of a run come from."""

    def task(self, recipe: Recipe, *, with_test: bool) -> Task:
        """The task of a recipe, without the test split unless it is asked for."""
        ...

    def check(self, recipe: Recipe) -> None:
        """Try the user's own code on one batch, before anything is written.

        Raises:
            UsageError: it fails.
        """
        ...

    def facts(self) -> Mapping[str, Any]:
        """For the manifest: name, digest and sizes of the data, as far as known."""
        ...


def open_source(
    recipe: Recipe,
    device: torch.device,
    data_dir: Path | None = None,
    download: bool = False,
    progress: Progress | None = None,
) -> Source:
    """Read the recipe's dataset, or load the user's own task.

    Raises:
        UsageError: an unknown name, or an invalid task.
        MachineError: the dataset is missing or damaged.
    """
    if recipe.task:
        from lrbench.tasks.own import OwnSource

        return OwnSource(recipe.task, device, data_dir)
    from lrbench.data import load

    return ImageSource(load(recipe.dataset, data_dir, download, progress), device, recipe)


@dataclass(frozen=True)
class ImageSource:
    """A dataset of images, on the device as the first recipe needs it."""

    data: ImageData
    device: torch.device
    recipe: Recipe

    @cached_property
    def _resident(self) -> Residents:
        from lrbench.tasks.images import residents

        return residents(self.data, self.recipe, self.device)

    def task(self, recipe: Recipe, *, with_test: bool) -> Task:
        from lrbench.tasks.images import ImageTask

        return ImageTask(
            self.data, recipe, self.device, with_test=with_test, resident=self._resident
        )

    def check(self, recipe: Recipe) -> None:
        if plugins.is_own(recipe.augment):
            next(iter(self.task(recipe, with_test=False).train_batches(0, 0)))

    def facts(self) -> Mapping[str, Any]:
        return {
            "name": self.data.name,
            "digest": self.data.digest,
            "classes": len(self.data.classes),
            "train": len(self.data.train_labels),
            "val": len(self._resident.val),
            "test": len(self.data.test_labels),
        }
