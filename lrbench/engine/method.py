"""One optimizer step: accumulation, precision, clipping; and weights that are evaluated in place
of the trained ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from lrbench.engine.device import autocast
from lrbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from lrbench.options import Recipe
    from lrbench.tasks.base import Task

NORM_BATCHES = 50


@dataclass(frozen=True)
class Method:
    """Precision, batches accumulated into one step, gradient clipping, torch.compile."""

    precision: str = "fp32"
    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    compiled: bool = False

    @staticmethod
    def of(recipe: Recipe) -> Method:
        return Method(
            recipe.precision, recipe.micro_batches, recipe.clip_norm, recipe.clip_value,
            recipe.compile,
        )  # fmt: skip

    def called(self, model: nn.Module) -> nn.Module:
        """The model as training steps call it, compiled if asked for. Models of one architecture
        share one compilation; evaluation, which has other shapes, goes without."""
        import torch

        return cast("nn.Module", torch.compile(model)) if self.compiled else model

    @property
    def clips(self) -> bool:
        return self.clip_norm is not None or self.clip_value is not None

    def grouped(self, batches: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        """The batches of each step; an incomplete last group is dropped."""
        each = iter(batches)
        while len(part := tuple(islice(each, self.accumulate))) == self.accumulate:
            yield part

    def clip(self, model: nn.Module) -> Tensor | None:
        """Clip gradients, first each number to ±`clip_value`, then their global norm to
        `clip_norm`. Returns whether that changed them, as a bool `[]` on the device, or None
        without clipping."""
        if not self.clips:
            return None
        import torch
        from torch.nn.utils import clip_grad_norm_, clip_grad_value_

        found = []
        if self.clip_value is not None:
            grads = [p.grad for p in model.parameters() if p.grad is not None]
            largest = torch.stack(torch._foreach_norm(grads, float("inf"))).max()
            clip_grad_value_(model.parameters(), self.clip_value)
            found.append(largest > self.clip_value)
        if self.clip_norm is not None:
            norm = clip_grad_norm_(model.parameters(), self.clip_norm)
            found.append(norm > self.clip_norm)
        return torch.stack(found).any()


PLAIN = Method()


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
    optimizer: Optimizer,
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
    if len(done) == 1:
        return replace(done[0], clipped=clipped)
    whole = stacked(done)
    return Step(whole.loss.sum(), None if whole.correct is None else whole.correct.sum(), clipped)


def stacked(steps: Sequence[Step]) -> Step:
    """The steps of an epoch as one `Step` of vectors."""
    import torch

    def column(values: Iterable[Tensor | None]) -> Tensor | None:
        known = [value for value in values if value is not None]
        return torch.stack(known) if known else None

    return Step(
        torch.stack([step.loss for step in steps]),
        column(step.correct for step in steps),
        column(step.clipped for step in steps),
    )


class Average:
    """The exponential moving average of a model's weights and buffers (Polyak and Juditsky 1992;
    as `torch.optim.swa_utils.AveragedModel`, whose count of updates would be read from the
    device at every step): w̄ = decay·w̄ + (1 - decay)·w after each step, w̄ = w after the first.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        from torch.optim.swa_utils import get_ema_multi_avg_fn

        self.model = deepcopy(model).requires_grad_(False)
        self.updates = 0
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def update(self, model: nn.Module) -> None:
        own, new = tensors_of(self.model), tensors_of(model)
        kinds = dict.fromkeys((part.dtype, part.device) for part in own)
        for kind in kinds:
            pairs = [(a, b) for a, b in zip(own, new, strict=True) if (a.dtype, a.device) == kind]
            averages, values = (list(column) for column in zip(*pairs, strict=True))
            if self.updates and averages[0].is_floating_point():
                self._average(averages, values, self.updates)
            else:  # the first weights, and counters such as the batches that a norm has seen
                for average, value in pairs:
                    average.copy_(value)
        self.updates += 1


def tensors_of(model: nn.Module) -> list[Tensor]:
    """Weights and buffers, without gradients."""
    return [part.detach() for part in chain(model.parameters(), model.buffers())]


def for_judging(task: Task, model: nn.Module, optimizer: Optimizer, seed: int, epoch: int) -> None:
    """Put the weights that a schedule-free optimizer evaluates into the model, and recompute its
    batch-norm statistics, which belong to the other weights (Defazio et al. 2024,
    arXiv:2405.15682)."""
    if hasattr(optimizer, "eval"):
        optimizer.eval()
        renew_batch_norm(task, model, seed, epoch)


def renew_batch_norm(task: Task, model: nn.Module, seed: int, epoch: int) -> None:
    """Set batch-norm statistics to their mean over the first `NORM_BATCHES` batches of an epoch;
    layers in evaluation mode keep theirs."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    layers = [(layer, layer.momentum) for layer in norms if layer.training]
    for layer, _ in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch then takes the mean of all batches so far
    with torch.no_grad():
        for batch in islice(task.train_batches(seed, epoch), NORM_BATCHES if layers else 0):
            task.loss(model, batch)
    for layer, momentum in layers:
        layer.momentum = momentum
