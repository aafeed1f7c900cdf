"""A recipe's tasks: the data is read once and shared by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lrbench import plugins
from lrbench.data.text import TextData, load_text

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lrbench.data import ImageData
    from lrbench.data.own_data import Progress
    from lrbench.data.resident import Residents
    from lrbench.options import Recipe
    from lrbench.tasks.base import Task


class Source(Protocol):
    """Where the tasks of a run come from."""

    def task(self, recipe: Recipe, *, with_test: bool) -> Task:
        """The task of a recipe, without the test split unless it is asked for."""
        ...

    def check(self, recipe: Recipe) -> None:
        """Try the user's own code on one batch, before anything is written."""
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
    """Read the recipe's dataset, or load the user's own task."""
    if recipe.problem == "task":
        from lrbench.tasks.own import OwnSource

        return OwnSource(recipe.task, device, data_dir)
    if recipe.problem == "text":
        return source_of(load_text(recipe.dataset), device, recipe)
    from lrbench.data import load

    return source_of(load(recipe.dataset, data_dir, download, progress), device, recipe)


def source_of(data: ImageData | TextData, device: torch.device, recipe: Recipe) -> Source:
    """The tasks of a recipe on data that were read already."""
    if isinstance(data, TextData):
        return TextSource(data, device, recipe)
    return ImageSource(data, device, recipe)


@dataclass(frozen=True)
class ImageSource:
    """A dataset of images, on the device as each augmentation needs it."""

    data: ImageData
    device: torch.device
    recipe: Recipe

    @cached_property
    def _residents(self) -> dict[bool, Residents]:
        return {}

    def _resident(self, recipe: Recipe) -> Residents:
        from lrbench.tasks.images import residents

        default = recipe.augment == "default"
        if default not in self._residents:
            self._residents[default] = residents(self.data, recipe, self.device)
        return self._residents[default]

    def task(self, recipe: Recipe, *, with_test: bool) -> Task:
        from lrbench.tasks.images import ImageTask

        shared = self._resident(recipe)
        return ImageTask(self.data, recipe, self.device, with_test=with_test, resident=shared)

    def check(self, recipe: Recipe) -> None:
        if plugins.is_own(recipe.augment):
            next(iter(self.task(recipe, with_test=False).train_batches(0, 0)))

    def facts(self) -> Mapping[str, Any]:
        data = self.data
        return {
            "name": data.name,
            "digest": data.digest,
            "classes": len(data.classes),
            "train": len(data.train_labels),
            "val": len(self._resident(self.recipe).val),
            "test": len(data.test_labels),
        }


@dataclass(frozen=True)
class TextSource:
    """A text, on the device as the first recipe needs it."""

    data: TextData
    device: torch.device
    recipe: Recipe

    @cached_property
    def _resident(self) -> Mapping[str, Tensor]:
        import torch

        parts = self.data.parts(self.recipe.val_fraction)
        return {split: torch.tensor(part, device=self.device) for split, part in parts.items()}

    def task(self, recipe: Recipe, *, with_test: bool) -> Task:
        from lrbench.tasks.text import TextTask

        return TextTask(self._resident, recipe, self.device, with_test=with_test)

    def check(self, recipe: Recipe) -> None:
        """There is no code of the user's but the model, which is tried where it is built."""

    def facts(self) -> Mapping[str, Any]:
        sizes = {split: len(part) for split, part in self._resident.items()}
        return {
            "name": self.data.name,
            "digest": self.data.digest,
            "source": self.data.source,
            **sizes,
        }
