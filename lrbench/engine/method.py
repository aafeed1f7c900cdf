"""One optimizer step: accumulation, precision, clipping; and weights that are evaluated instead of
the trained ones."""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import chain, islice
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lrbench.engine.device import autocast
from lrbench.options import Recipe
from lrbench.tasks.base import Task

PLAIN = Recipe()
NORM_BATCHES = 50


class Step(NamedTuple):
    """An optimizer step's results, on the device: the mean loss of its batches before the update,
    the number of correct answers if the task counts them, and, with clipping, whether gradients
    were clipped. Scalars `[]`; for a whole epoch, vectors `[steps]`."""

    loss: Tensor
    correct: Tensor | None
    clipped: Tensor | None = None


def compiled(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The model as training steps call it, compiled if requested. Models of one architecture share
    a compilation; evaluation, which has other shapes, is not compiled."""
    return cast(nn.Module, torch.compile(model)) if recipe.compile else model


def grouped(batches: Iterable[Any], recipe: Recipe) -> Iterator[tuple[Any, ...]]:
    """The batches of each step; an incomplete last group is dropped."""
    return zip(*[iter(batches)] * recipe.micro_batches, strict=False)


def one_step(
    task: Task, model: nn.Module, optimizer: Optimizer, parts: Sequence[Any], recipe: Recipe
) -> Step:
    """Take one step along the mean gradient of the batches in `parts`, at the optimizer's current
    learning rates. Never waits for the device and keeps no state elsewhere."""
    device = next(model.parameters()).device
    optimizer.zero_grad(set_to_none=True)
    done = []
    for batch in parts:
        with autocast(device, recipe.precision):
            result = task.loss(model, batch)
        loss, correct = result if isinstance(result, tuple) else (result, None)
        mean = loss if len(parts) == 1 else loss / len(parts)
        mean.backward()  # type: ignore[no-untyped-call]
        done.append(Step(mean.detach(), correct))
    clipped = clip(model, recipe)
    optimizer.step()
    loss, correct, _ = done[0] if len(done) == 1 else stacked(done)
    if len(done) > 1:
        loss, correct = loss.sum(), None if correct is None else correct.sum()
    return Step(loss, correct, clipped)


def stacked(steps: Sequence[Step]) -> Step:
    """The steps of an epoch as one `Step` of vectors."""

    columns: Iterator[Any] = zip(*steps, strict=True)
    whole: list[Any] = [None if part[0] is None else torch.stack(part) for part in columns]
    return Step(*whole)


def clips(recipe: Recipe) -> bool:
    return recipe.clip_norm is not None or recipe.clip_value is not None


def clip(model: nn.Module, recipe: Recipe) -> Tensor | None:
    """Clip gradients, first each element to ±`clip_value`, then the global norm to `clip_norm`.
    Returns whether any was clipped, as a bool `[]` on the device, or None without clipping."""
    if not clips(recipe):
        return None
    found = []
    if recipe.clip_value is not None:
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        largest = torch.stack(torch._foreach_norm(grads, float("inf"))).max()
        clip_grad_value_(model.parameters(), recipe.clip_value)
        found.append(largest > recipe.clip_value)
    if recipe.clip_norm is not None:
        norm = clip_grad_norm_(model.parameters(), recipe.clip_norm)
        found.append(norm > recipe.clip_norm)
    return torch.stack(found).any()


class Average:
    """The exponential moving average of a model's weights and buffers (Polyak and Juditsky 1992;
    like `torch.optim.swa_utils.AveragedModel`, but that reads its count of updates from the
    device at every step): w̄ = decay·w̄ + (1 - decay)·w after each step, w̄ = w after the first.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
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
            else:  # the first update, and counters such as a norm's batches
                for average, value in pairs:
                    average.copy_(value)
        self.updates += 1


def tensors_of(model: nn.Module) -> list[Tensor]:
    """Weights and buffers, without gradients."""
    return [part.detach() for part in chain(model.parameters(), model.buffers())]


def for_judging(task: Task, model: nn.Module, optimizer: Optimizer, seed: int, epoch: int) -> None:
    """Switch the model to the weights that a schedule-free optimizer evaluates, and recompute its
    batch-norm statistics, which belong to the trained weights (Defazio et al. 2024,
    arXiv:2405.15682)."""
    if hasattr(optimizer, "eval"):
        optimizer.eval()
        renew_batch_norm(task, model, seed, epoch)


def renew_batch_norm(task: Task, model: nn.Module, seed: int, epoch: int) -> None:
    """Set batch-norm statistics to their mean over the first `NORM_BATCHES` batches of an epoch;
    layers in evaluation mode keep theirs."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    layers = [(layer, layer.momentum) for layer in norms if layer.training]
    for layer, _ in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch then averages all batches so far
    with torch.no_grad():
        for batch in islice(task.train_batches(seed, epoch), NORM_BATCHES if layers else 0):
            task.loss(model, batch)
    for layer, momentum in layers:
        layer.momentum = momentum
