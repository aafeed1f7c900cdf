"""The epochs of `--graph`: one training step in memory that stays where it is, captured as a CUDA
graph once for each recipe, and replayed for every trial of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from lrbench.engine.clock import Row
from lrbench.engine.method import Method, optimizer_steps
from lrbench.engine.repeat import lr_type, repeated
from lrbench.engine.step import Step, one_step
from lrbench.plugins import is_own

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from lrbench.engine.train import Training
    from lrbench.experiment import Recipe
    from lrbench.tasks.base import OrderedTask, Task

# Fused, so that they read their learning rates from the device; all of their state begins at zero.
CAPTURED = ("sgd", "adam", "adamw")


class Program:
    """A network, its optimizer, the learning rates and the data order of an epoch, and what its
    steps left, all in tensors that are written over and never replaced.

    Before an epoch a trial's own weights and optimizer state are copied in, and after it back, so
    that nothing of a trial stays here. On a CPU the step is called instead of replayed: the same
    code, and the bits of the plain loop.
    """

    def __init__(self, task: OrderedTask, recipe: Recipe) -> None:
        import torch

        from lrbench.optimizers import build

        self.task, self.method = task, Method.of(recipe)
        self.model = task.model(0)
        self.called = self.method.called(self.model)
        self.optimizer, groups = build(recipe, self.model, 1.0)
        device = next(self.model.parameters()).device
        steps, parts = optimizer_steps(task, recipe), self.method.accumulate
        self.lrs = torch.zeros(steps, len(groups), dtype=lr_type(device), device=device)
        self.lr = self.lrs[:1].clone()
        for place, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.lr[0, place]
            if "capturable" in group:
                group["capturable"] = True
        self.order = self._order(0, 0, steps, parts).to(device)
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        self.loss = torch.zeros(steps, dtype=torch.float64, device=device)
        self.correct = torch.zeros(steps, dtype=torch.int64, device=device)
        self.clipped = torch.zeros(steps, dtype=torch.bool, device=device)
        with warnings.catch_warnings():  # Adam says of each step that it could be captured
            warnings.filterwarnings("ignore", message=".*capturable=True")
            self.again = repeated(self._step, device)  # at learning rates of zero

    def epoch(self, training: Training, rows: Sequence[Row]) -> Step:
        """Train a trial for one epoch: what its steps left, until the next epoch is trained."""
        self._bring(training, rows)
        for _ in rows:
            self.again()
            if training.average is not None:
                training.average.update(self.model)
        self._return(training)
        rows[-1].apply(training.optimizer)
        return Step(self.loss, self.correct, self.clipped if self.method.clips else None)

    def _step(self) -> None:
        """Step number `at`: whatever differs between two steps is read from the device."""
        import torch

        torch.index_select(self.lrs, 0, self.at, out=self.lr)
        (orders,) = self.order.index_select(0, self.at)
        batches = [self.task.ordered_batch(order) for order in orders]
        found = one_step(self.task, self.called, self.optimizer, batches, self.method)
        self.loss.index_copy_(0, self.at, found.loss.double()[None])
        assert found.correct is not None
        self.correct.index_copy_(0, self.at, found.correct[None])
        if found.clipped is not None:
            self.clipped.index_copy_(0, self.at, found.clipped[None])
        self.at.add_(1).remainder_(len(self.lrs))

    def _bring(self, training: Training, rows: Sequence[Row]) -> None:
        import torch

        steps, parts = self.order.shape[:2]
        with torch.no_grad():
            for mine, own in _pairs(self.model, training.model):
                mine.copy_(own)
            for state, theirs in _states(self.optimizer, training.optimizer):
                for name, value in state.items():
                    if name in theirs:
                        value.copy_(theirs[name])
                    else:
                        value.zero_()
        lrs = torch.tensor([row.lrs for row in rows], dtype=self.lrs.dtype)
        self.lrs.copy_(lrs)
        self.order.copy_(self._order(training.trial.seed, training.epochs_done, steps, parts))
        self.at.zero_()

    def _return(self, training: Training) -> None:
        import torch

        with torch.no_grad():
            for mine, own in _pairs(self.model, training.model):
                own.copy_(mine)
            for state, theirs in _states(self.optimizer, training.optimizer):
                for name, value in state.items():
                    if name in theirs:
                        theirs[name].copy_(value)
                    else:
                        theirs[name] = value.clone()

    def _order(self, seed: int, epoch: int, steps: int, parts: int) -> Tensor:
        """The orders of an epoch's batches, `[steps, parts, ...]`: those of a step together."""
        orders = self.task.orders(seed, epoch)[: steps * parts]
        return orders.reshape(steps, parts, *orders.shape[1:])


def why_not(task: Task, recipe: Recipe) -> str:
    """Why a recipe's steps cannot be captured; empty where nothing is known to stand against it."""
    if not hasattr(task, "orders") or is_own(recipe.augment):
        return "its batches are made by code of its own"
    if recipe.optimizer not in CAPTURED:
        return f"{recipe.optimizer} does not read its learning rate from the device"
    if recipe.optimizer_options:
        return "the optimizer has settings of its own (--opt)"
    return ""


def why_eager(training: Training) -> str:
    """Why a trial is not trained by its recipe's program; empty where it can be."""
    if training.clock.frozen:
        return "a group is frozen at first"
    if any(bound.momentum(0) is not None for bound in training.clock.bounds):
        return "the schedule moves the momentum"
    return ""


def _pairs(one: nn.Module, other: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    contents: Iterable[Any] = (chain(m.parameters(), m.buffers()) for m in (one, other))
    return zip(*contents, strict=True)


def _states(one: Optimizer, other: Optimizer) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The state of each parameter, in both."""
    every: Iterable[Any] = (
        [optimizer.state[p] for group in optimizer.param_groups for p in group["params"]]
        for optimizer in (one, other)
    )
    return zip(*every, strict=True)
