"""A network's loss in evaluation mode, on fixed batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from lrbench.errors import UsageError
from lrbench.tasks.base import Task, evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn

SAMPLES = 1000  # validation samples that a short training is judged by
TRAINING_BATCHES = 4  # of a task without validation data
SPREAD = 64  # batches that those are spread over where the order may be fixed, such as by class
OWN_EPOCH = 1_000_000  # where those come from: no training gets that far


@dataclass(frozen=True)
class Judge:
    """A task's loss on fixed batches in evaluation mode: without dropout, and with the running
    statistics of batch normalisation, which lag behind weights that move fast.

    `held_out` is true for validation batches; a task without any is judged by training batches.
    """

    task: Task
    batches: tuple[Any, ...]
    held_out: bool
    precision: str = "fp32"

    @staticmethod
    def of(task: Task, precision: str = "fp32") -> Judge:
        val_batches = getattr(task, "val_batches", None)
        batches = None if val_batches is None else val_batches(SAMPLES)
        if batches is not None:
            return Judge(task, tuple(batches), True, precision)
        own = iter(task.train_batches(0, OWN_EPOCH))
        near = TRAINING_BATCHES if shuffles(task) else SPREAD
        return Judge(task, _spread(islice(own, near)), False, precision)

    def quick(self) -> Judge:
        """With one batch only, which costs about a third of a training step."""
        if not self.held_out:
            raise UsageError("--val-loss: there is no validation data")
        return replace(self, batches=self.batches[:1])

    def __call__(self, model: nn.Module) -> Tensor:
        """The mean loss over the batches, on the device."""
        import torch

        device = next(model.parameters()).device
        with evaluating(model, device, self.precision):
            results = [self.task.loss(model, batch) for batch in self.batches]
        parts = [result[0] if isinstance(result, tuple) else result for result in results]
        return torch.stack(parts).float().mean()


def shuffles(task: Task) -> bool:
    """Whether the order of a task's batches is known to be random."""
    return hasattr(task, "orders") or getattr(task, "shuffles", False)


def _spread(batches: Iterable[Any]) -> tuple[Any, ...]:
    """`TRAINING_BATCHES` of the batches, evenly spaced; few others are held at a time."""
    kept, stride = [], 1
    for place, batch in enumerate(batches):
        if place % stride == 0:
            kept.append(batch)
        if len(kept) == 2 * TRAINING_BATCHES:
            kept, stride = kept[::2], 2 * stride
    count = min(TRAINING_BATCHES, len(kept))
    return tuple(kept[i * len(kept) // count] for i in range(count))
