"""The user's own task: `module:Task`, for anything other than image classification."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import Notice, Topic, UsageError
from lrbench.tasks.base import Split, drawn, evaluating, to_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lrbench.options import Recipe

OPTION = "--task"
METHODS: Mapping[str, tuple[str, ...]] = {
    "model": ("seed",),
    "train_batches": ("seed", "epoch"),
    "loss": ("model", "batch"),
    "evaluate": ("model", "split"),
}
EXPECTED = (
    "a task has model(seed), train_batches(seed, epoch), loss(model, batch), "
    "evaluate(model, split), steps_per_epoch and samples_per_step"
)


@dataclass(frozen=True)
class OwnSource:
    """The tasks from a user's class or function, or the user's existing task.

    The class or function is called with `batch_size`, `device` and `data_dir` if its signature
    names them.
    """

    name: str
    device: torch.device
    data_dir: Path | None = None
    data: None = None

    def task(self, recipe: Recipe, *, with_test: bool) -> OwnTask:
        found = _loaded(self.name)
        if _makes_task(found):
            function = plugins.load_callable(self.name, OPTION)
            named = {
                "batch_size": recipe.batch_size, "device": self.device, "data_dir": self.data_dir,
            }  # fmt: skip
            found = plugins.call(self.name, function, {}, option=OPTION, extra=named)
        return OwnTask(self.name, found, recipe, self.device, with_test=with_test)

    def check(self, recipe: Recipe) -> None:
        task = self.task(recipe, with_test=False)
        with plugins.blamed(self.name, OPTION):
            model = task.model(0)
            task.loss(model, next(task.train_batches(0, 0)))
            task.evaluate(model, "val")

    def facts(self) -> Mapping[str, Any]:
        return {"name": self.name, "takes_batch_size": takes_batch_size(self.name)}


def takes_batch_size(name: str) -> bool:
    """True if the task's class or function has a parameter batch_size; False for an object."""
    found = _loaded(name)
    try:
        return _makes_task(found) and "batch_size" in inspect.signature(found).parameters
    except (TypeError, ValueError):  # not callable (reported elsewhere), or written in C
        return True


def _loaded(name: str) -> Any:
    with plugins.blamed(name, OPTION):
        return plugins.load(name)


def _makes_task(found: Any) -> bool:
    return inspect.isclass(found) or (callable(found) and not hasattr(found, "train_batches"))


def ignored_batch_size(recipe: Recipe, facts: Mapping[str, Any]) -> Iterator[Notice]:
    """A notice that the recipe's task ignores --batch-size, if it does."""
    given = recipe.batch_size != type(recipe)().batch_size
    if recipe.task and given and facts.get("takes_batch_size") is False:
        yield Notice(
            Topic.OTHER,
            f"--batch-size {recipe.batch_size} changes nothing, as {recipe.task} sets its own",
            "leave it out, or let the task take batch_size",
        )


@dataclass(eq=False)
class OwnTask:
    """A user's task, completed and checked for the training loop.

    Weights are drawn after `torch.manual_seed(seed)` or read from the recipe's file, model and
    batches are moved to the device, evaluation runs without gradients and in evaluation mode, and
    the return values of the user's methods are checked.
    """

    name: str
    own: Any
    recipe: Recipe
    device: torch.device
    _: KW_ONLY
    with_test: bool

    def __post_init__(self) -> None:
        for method, arguments in METHODS.items():
            function = getattr(self.own, method, None)
            if not callable(function):
                raise self._wrong(f"it has no {method}({', '.join(arguments)})")
            name = f"{self.name}.{method}"
            plugins.check_call(name, function, arguments, option=OPTION, hint=EXPECTED)
        self.steps_per_epoch = self._count("steps_per_epoch")
        self.samples_per_step = self._count("samples_per_step")

    def model(self, seed: int) -> nn.Module:
        model = drawn(lambda: self._made(seed), seed, self.name, self.recipe.init_from)
        return model.to(self.device)

    def _made(self, seed: int) -> nn.Module:
        from torch import nn

        model = self.own.model(seed)
        if not isinstance(model, nn.Module):
            raise self._wrong(f"model(seed) returned {plugins.kind_of(model)}, not an nn.Module")
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise self._wrong("model(seed) returned a module without trainable parameters")
        return model

    def train_batches(self, seed: int, epoch: int) -> Iterator[Any]:
        steps, count = self.steps_per_epoch, 0
        for batch in islice(self.own.train_batches(seed, epoch), steps):
            count += 1
            yield to_device(batch, self.device)
        if count < steps:
            raise self._wrong(
                f"train_batches({seed}, {epoch}) gave {count} batches, but steps_per_epoch is "
                f"{steps}"
            )

    def loss(self, model: nn.Module, batch: Any) -> Tensor | tuple[Tensor, Tensor]:
        import torch

        found: Any = self.own.loss(model, batch)
        loss = found[0] if isinstance(found, tuple) and len(found) == 2 else found
        if not isinstance(loss, torch.Tensor) or loss.ndim != 0:
            raise self._wrong(
                f"loss(model, batch) returned {plugins.kind_of(loss)}, not a tensor of one number, "
                "the mean loss (or that and the number of correct answers)"
            )
        return found  # type: ignore[no-any-return]

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        import torch

        if split == "test" and not self.with_test:
            raise UsageError(f"this task was made without its {split} split")
        with evaluating(model, self.device, self.recipe.precision):
            found = self.own.evaluate(model, split)
        known = isinstance(found, Mapping) and isinstance(found.get("loss"), (Real, torch.Tensor))
        if not known and not (split == "test" and found == {}):
            raise self._wrong(
                f"evaluate(model, {split!r}) returned {found!r:.60}, not a mapping such as "
                '{"loss": 0.3}, with accuracy if it is defined'
            )
        for key, value in found.items():
            if getattr(value, "numel", lambda: 1)() != 1:
                shown = plugins.kind_of(value)
                raise self._wrong(f"evaluate(model, {split!r}) returned {key} of {shown}")
        scores = {str(key): float(value) for key, value in found.items()}
        if not 0 <= (accuracy := scores.get("accuracy", 0.0)) <= 1 and math.isfinite(accuracy):
            raise self._wrong(
                f"evaluate(model, {split!r}) returned accuracy {accuracy:g}, not a share like 0.97"
            )
        return scores

    def _count(self, key: str) -> int:
        value = getattr(self.own, key, None)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            wrong = f"{key} is {value!r:.30}, not a whole number of at least 1"
            raise self._wrong(f"it has no {key}" if value is None else wrong)
        return value

    def _wrong(self, what: str) -> UsageError:
        return UsageError(f"{OPTION} {self.name}: {what}", hint=EXPECTED)
