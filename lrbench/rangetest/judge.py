"""The loss of a network as it will be used: in evaluation mode, on batches that stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from lrbench.engine.precision import autocast
from lrbench.errors import UsageError
from lrbench.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor, nn

SAMPLES = 1000  # validation samples that a short training is judged by
TRAINING_BATCHES = 4  # instead, of a task without any
OWN_EPOCH = 1_000_000  # where those come from: no training gets so far


@dataclass(frozen=True)
class Judge:
    """A task's loss on fixed batches, in evaluation mode: without dropout, and with the running
    statistics of batch normalisation, which lag behind where the weights move fast. A training
    loss shows neither.

    `held_out` tells whether the batches are validation data; without any they are the task's own
    training data.
    """

    task: Task
    batches: tuple[Any, ...]
    held_out: bool
    precision: str = "fp32"

    @staticmethod
    def of(task: Task, precision: str = "fp32") -> Judge:
        batches = _validation(task)
        if batches is not None:
            return Judge(task, batches, True, precision)
        own = islice(task.train_batches(0, OWN_EPOCH), TRAINING_BATCHES)
        return Judge(task, tuple(own), False, precision)

    def quick(self) -> Judge:
        """The same with one batch, which costs about a third of a training step.

        Raises:
            UsageError: the task has no validation data.
        """
        if not self.held_out:
            raise UsageError("--val-loss: there is no validation data")
        return replace(self, batches=self.batches[:1])

    def __call__(self, model: nn.Module) -> Tensor:
        """The mean loss over the batches, on the device."""
        import torch

        device = next(model.parameters()).device
        with _evaluating(model), torch.no_grad(), autocast(device, self.precision):
            results = [self.task.loss(model, batch) for batch in self.batches]
        parts = [result[0] if isinstance(result, tuple) else result for result in results]
        return torch.stack(parts).float().mean()


def _validation(task: Task) -> tuple[Any, ...] | None:
    """The task's fixed validation batches; None where it has none."""
    val_batches = getattr(task, "val_batches", None)
    found = None if val_batches is None else val_batches(SAMPLES)
    return None if found is None else tuple(found)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and each part's own mode again afterwards."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
