"""One optimizer step: forward, backward, clipping, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrbench.engine.method import Method
from lrbench.engine.precision import autocast

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lrbench.tasks.base import Task


@dataclass(frozen=True)
class Step:
    """What an optimizer step leaves on the device: the mean loss of its batches before the update,
    the number of correct answers if the task counts them, and whether gradients were clipped if
    clipping is on. Scalars `[]`; for a whole epoch, vectors `[steps]`."""

    loss: Tensor
    correct: Tensor | None
    clipped: Tensor | None = None


def one_step(
    task: Task,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[Any],
    method: Method,
) -> Step:
    """Take one step along the mean gradient of the batches in `parts`, at the optimizer's current
    learning rates. Nothing here waits for the device or keeps state elsewhere."""
    device = next(model.parameters()).device
    optimizer.zero_grad(set_to_none=True)
    done = []
    for batch in parts:
        with autocast(device, method.precision):
            result = task.loss(model, batch)
        loss, correct = result if isinstance(result, tuple) else (result, None)
        mean = loss if len(parts) == 1 else loss / len(parts)
        mean.backward()  # type: ignore[no-untyped-call]
        done.append(Step(mean.detach(), correct))
    clipped = method.clip(model)
    optimizer.step()
    return _together(done, clipped)


def _together(parts: Sequence[Step], clipped: Tensor | None) -> Step:
    """Combine the parts of an accumulated step."""
    if len(parts) == 1:
        return Step(parts[0].loss, parts[0].correct, clipped)
    import torch

    counts = [part.correct for part in parts if part.correct is not None]
    loss = torch.stack([part.loss for part in parts]).sum()
    return Step(loss, torch.stack(counts).sum() if counts else None, clipped)


def stacked(steps: Sequence[Step]) -> Step:
    """The steps of an epoch as one `Step` of vectors."""
    import torch

    columns = (
        [value for value in column if value is not None]
        for column in zip(*((s.loss, s.correct, s.clipped) for s in steps), strict=True)
    )
    loss, correct, clipped = (torch.stack(column) if column else None for column in columns)
    assert loss is not None
    return Step(loss, correct, clipped)
