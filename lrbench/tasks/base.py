"""The training loop's view of a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lrbench.engine.device import autocast
from lrbench.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lrbench.options import Recipe

Split = Literal["val", "test"]


class Task(Protocol):
    """A problem to train on: `steps_per_epoch` batches of `samples_per_step` samples each."""

    samples_per_step: int

    @property
    def steps_per_epoch(self) -> int: ...

    def model(self, seed: int) -> nn.Module:
        """A new model on the task's device; its weights depend on the seed alone."""
        ...

    def train_batches(self, seed: int, epoch: int) -> Iterable[Any]:
        """The batches of one epoch (from 0); order and augmentation depend on the seed and the
        epoch alone."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor | tuple[Tensor, Tensor]:
        """The mean loss of a batch, alone or with the number of correct answers, on the device."""
        ...

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """`loss`, and `accuracy` as a fraction if defined, over a split. Raises UsageError if the
        task was made without that split."""
        ...


class OrderedTask(Task, Protocol):
    """A task whose batches are made on the device from a pre-drawn random tensor."""

    def orders(self, seed: int, epoch: int) -> Tensor:
        """int64 `[steps_per_epoch, ...]`: one row for each batch of `train_batches`."""
        ...

    def ordered_batch(self, order: Tensor) -> Any:
        """The batch of one row that is on the device; never waits for the device."""
        ...


def drawn(make: Callable[[], nn.Module], seed: int, name: str, init_from: str) -> nn.Module:
    """A network with weights drawn on the CPU after `torch.manual_seed(seed)`, or read from the
    file `init_from`; the global generators are restored."""
    import torch

    from lrbench.models.weights import load_weights

    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed CUDA devices as well
        torch.default_generator.manual_seed(seed)
        model = make()
    if init_from:
        load_weights(model, name, init_from, "--init-from")
    return model


def built(recipe: Recipe, seed: int, shape: tuple[int, ...], classes: int) -> nn.Module:
    """The recipe's network for samples of this shape."""
    from lrbench.models import build

    name, weights = recipe.model, recipe.weights
    return drawn(lambda: build(name, shape, classes, weights), seed, name, recipe.init_from)


def start_training(model: nn.Module) -> None:
    """Put the model into training mode. If it already is, its parts in evaluation mode, such as a
    frozen batch normalisation, stay there."""
    kept = [part for part in model.modules() if not part.training] if model.training else []
    model.train()
    for part in kept:
        part.training = False


def optimizer_steps(task: Task, recipe: Recipe) -> int:
    """Optimizer steps in an epoch.

    Raises:
        UsageError: an epoch has too few batches for one.
    """
    steps = task.steps_per_epoch // recipe.micro_batches
    if steps == 0:
        raise UsageError(
            f"--accumulate {recipe.accumulate}: an epoch has {task.steps_per_epoch} batches of "
            f"{task.samples_per_step}"
        )
    return steps


@contextmanager
def evaluating(model: nn.Module, device: torch.device, precision: str) -> Iterator[None]:
    """Evaluation mode without gradients, in a precision; restores each submodule's mode
    afterwards."""
    import torch

    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), autocast(device, precision):
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with all its tensors moved to the device, in the same containers."""
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(item, device) for item in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(item, device) for item in batch)
    return batch
