"""A network's loss in evaluation mode, on fixed batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from lrbench.engine.device import autocast
from lrbench.errors import UsageError
from lrbench.tasks.base import Task, evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn

SAMPLES = 1000  # validation samples that a short training is judged by
TRAINING_BATCHES = 4  # of a task without validation data
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
        own = islice(task.train_batches(0, OWN_EPOCH), TRAINING_BATCHES)
        return Judge(task, tuple(own), False, precision)

    def quick(self) -> Judge:
        """With one batch only, which costs about a third of a training step."""
        if not self.held_out:
            raise UsageError("--val-loss: there is no validation data")
        return replace(self, batches=self.batches[:1])

    def __call__(self, model: nn.Module) -> Tensor:
        """The mean loss over the batches, on the device."""
        import torch

        device = next(model.parameters()).device
        with evaluating(model), autocast(device, self.precision):
            results = [self.task.loss(model, batch) for batch in self.batches]
        parts = [result[0] if isinstance(result, tuple) else result for result in results]
        return torch.stack(parts).float().mean()
