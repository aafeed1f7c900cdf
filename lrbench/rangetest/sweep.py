"""Sweeps: short trainings along a ramp of learning rates, from the same initial weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, repeat
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ConfigDict

from lrbench.engine.clock import Row
from lrbench.errors import UsageError
from lrbench.options import FindSpec, Frozen, Recipe, digest
from lrbench.rangetest.curve import BLOWN_UP, Watch
from lrbench.rangetest.groups import GroupLrs
from lrbench.rangetest.judge import Judge
from lrbench.records import SweepPoint
from lrbench.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

READ_EVERY = 10  # steps between two readings of an asynchronous device


@dataclass(frozen=True)
class Pace:
    """What a schedule has for a step: the multiplier of every learning rate, and the momentum
    (None keeps the optimizer's own)."""

    multiplier: float = 1.0
    momentum: float | None = None

    def row(self, lrs: Sequence[float]) -> Row:
        momenta = () if self.momentum is None else (self.momentum,) * len(lrs)
        return Row(tuple(lr * self.multiplier for lr in lrs), momenta)


STEADY = Pace()
ANY = FindSpec()


class Piece(Frozen):
    """One training of a range test, as plain data: a sweep with `steps` at each of its learning
    rates, or a short training of `steps` at one, or along `paces`, up to a loss of `limit`. It
    leaves an empty list when it begins, or begins again; then each loss of a sweep, `[loss]`, or
    `[losses, judged, judged_sd]`."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    find: FindSpec
    kind: Literal["sweep", "short"]
    seed: int
    lrs: tuple[float, ...]
    steps: int
    judged: bool
    stops: bool = True
    paces: tuple[Pace, ...] = ()
    limit: float = math.inf

    @property
    def id(self) -> str:
        return digest(self.canonical())

    @property
    def recipe(self) -> Recipe:
        return self.find.recipe


Elsewhere = Callable[[Sequence[Piece]], Iterator[tuple[Piece, list[Any]]]]


@dataclass(frozen=True)
class Setup:
    """What is trained. `make_optimizer(model)` gives the optimizer, and the function from the
    test's learning rate to those of the optimizer's parameter groups. `elsewhere` carries out
    pieces where `find` says all that is to be trained, in any order."""

    task: Task
    make_optimizer: Callable[[nn.Module], tuple[Optimizer, GroupLrs]]
    recipe: Recipe = ANY.recipe
    find: FindSpec = ANY
    elsewhere: Elsewhere | None = None

    @cached_property
    def judge(self) -> Judge:
        return Judge.of(self.task, self.recipe.precision)


def grid(start_lr: float, end_lr: float, points: int, mode: str = "exp") -> list[float]:
    """Learning rates from `start_lr` to `end_lr`, both exact.

    >>> grid(0.01, 1.0, 3)
    [0.01, 0.1, 1.0]
    """
    if not start_lr < end_lr:
        raise UsageError(f"start_lr {start_lr:g} must lie below end_lr {end_lr:g}")
    if mode == "exp":
        lrs = start_lr * (end_lr / start_lr) ** (np.arange(points) / (points - 1))
    else:
        lrs = np.linspace(start_lr, end_lr, points)
    return [start_lr, *(float(lr) for lr in lrs[1:-1]), end_lr]


def trained(
    setup: Setup, seed: int, lrs: Iterable[float], paces: Iterable[Pace] = repeat(STEADY)
) -> Iterator[tuple[nn.Module, Tensor]]:
    """Train a seed's model, one learning rate per step, until they or the paces end; after each
    step yield it and the batch's mean loss before the step. Nothing waits for the device."""
    import torch

    from lrbench.engine.train import steps

    task = setup.task
    model = task.model(seed)
    optimizer, group_lrs = setup.make_optimizer(model)
    torch.manual_seed(seed)
    rows = (pace.row(group_lrs(lr)) for lr, pace in zip(lrs, paces, strict=False))
    for step in steps(task, model, optimizer, batches(task, seed), rows, setup.recipe):
        yield model, step.loss


def read(tensors: Iterable[Tensor]) -> Iterator[float]:
    """The numbers in single-element tensors; an asynchronous device is waited for once every few
    of them."""
    import torch

    pending: list[Tensor] = []
    for tensor in tensors:
        pending.append(tensor)
        if len(pending) == READ_EVERY or tensor.device.type == "cpu":
            yield from torch.stack(pending).flatten().tolist()
            pending = []
    if pending:
        yield from torch.stack(pending).flatten().tolist()


def step_flops(setup: Setup, seed: int) -> int:
    """The floating-point operations of one training step, counted on one step."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        list(trained(setup, seed, [0.0]))
    return int(counter.get_total_flops())


def batches(task: Task, seed: int) -> Iterator[Any]:
    """The task's batches, epoch after epoch; an epoch without any is refused."""
    for epoch in count():
        empty = True
        for batch in task.train_batches(seed, epoch):
            empty = False
            yield batch
        if empty:
            raise UsageError(
                "loader: it is empty, or can be read only once",
                hint="pass a DataLoader or a list of batches, not an iterator",
            )


def sweep(
    setup: Setup,
    seed: int,
    lrs: Sequence[float],
    steps_per_point: int = 1,
    judge: Judge | None = None,
    *,
    stops: bool = True,
) -> Iterator[SweepPoint]:
    """Train along the learning rates until they end or the loss is no longer finite, or if it
    `stops`, blows up; that point is the last. A point's loss is the mean over its steps, or with a
    judge the judge's loss after the last of them."""
    watch = Watch(BLOWN_UP)
    found = read(_points(setup, seed, lrs, steps_per_point, judge))
    for step, (lr, loss) in enumerate(zip(lrs, found, strict=True)):
        yield SweepPoint(seed, step, lr, loss)
        if watch.ends(loss) and (stops or not math.isfinite(loss)):
            return


def losses_of(curve: Sequence[SweepPoint]) -> list[float]:
    return [point.loss for point in curve]


def others_train(setup: Setup, seed: int) -> bool:
    """Whether groups that are not swept are trained at the same time."""
    _, group_lrs = setup.make_optimizer(setup.task.model(seed))
    return any(group_lrs(0.0))


def reached(setup: Setup, seed: int) -> bool:
    """Whether a gradient other than 0 reaches a parameter."""
    ((model, _),) = trained(setup, seed, [0.0])
    return any(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


def apart(curve: Sequence[SweepPoint], still: Sequence[SweepPoint]) -> list[SweepPoint]:
    """The curve without what its learning rate has no part in: its difference to `still`, the same
    training with the swept groups at learning rate 0, from the first loss on."""
    return [
        replace(point, loss=point.loss - other.loss + still[0].loss)
        for point, other in zip(curve, still, strict=False)
    ]


def _points(
    setup: Setup, seed: int, lrs: Sequence[float], steps_per_point: int, judge: Judge | None
) -> Iterator[Tensor]:
    import torch

    part: list[Tensor] = []
    every_lr = (lr for lr in lrs for _ in repeat(None, steps_per_point))
    for model, loss in trained(setup, seed, every_lr):
        part.append(loss)
        if len(part) < steps_per_point:
            continue
        if judge is not None:
            yield judge(model)
        else:
            yield loss if steps_per_point == 1 else torch.stack(part).mean()
        part.clear()
