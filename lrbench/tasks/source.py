"""A recipe's tasks: the data is read once and shared by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lrbench.data.image_data import ImageData
from lrbench.data.own_data import Progress
from lrbench.data.text import TextData, load_text
from lrbench.options import Recipe
from lrbench.tasks.base import Task

if TYPE_CHECKING:
    import torch

Data = ImageData | TextData


class Source(Protocol):
    """Where the tasks of a run come from. `data` can be sent to another process, unless it is
    None."""

    @property
    def data(self) -> Data | None: ...

    def task(self, recipe: Recipe, *, with_test: bool) -> Task:
        """The task of a recipe, with the test split only on request."""
        ...

    def check(self, recipe: Recipe) -> None:
        """Try the user's own code on one batch, before anything is written."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """For the manifest: the data's name, digest and sizes, as far as known."""
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


def source_of(data: Data, device: torch.device, recipe: Recipe) -> Source:
    """The source of tasks on data that has already been read."""
    if isinstance(data, TextData):
        from lrbench.tasks.text import TextSource

        return TextSource(data, device, recipe)
    from lrbench.tasks.images import ImageSource

    return ImageSource(data, device, recipe)
