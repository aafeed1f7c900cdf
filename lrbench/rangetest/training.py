"""The trainings of a range test: sweeps over rising learning rates, short trainings, and how they
are judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, islice, repeat
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ConfigDict

from lrbench.engine.clock import Row
from lrbench.errors import UsageError
from lrbench.options import FindSpec, Frozen, Recipe, digest
from lrbench.rangetest.curve import BLOWN_UP, Watch
from lrbench.rangetest.groups import GroupLrs
from lrbench.tasks.base import Task, evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

READ_EVERY = 10  # steps between readings of an asynchronous device
JUDGEMENTS = 4  # in the last quarter of a short training
SAMPLES = 1000  # validation samples to judge a short training by
TRAINING_BATCHES = 4  # to judge by, for a task without validation data
SPREAD = 64  # batches to pick those from if the order may be fixed, such as by class
OWN_EPOCH = 1_000_000  # an epoch that no training reaches

Pace = tuple[float, float | None]
"""A schedule's values at a step: the multiplier of every learning rate, and the momentum (None
keeps the optimizer's own)."""


class Piece(Frozen):
    """One training, as plain data: a sweep with `steps` steps at each learning rate, or a short
    training of `steps` steps at one learning rate or along `paces`, ended by a loss above `limit`.
    It yields `[]` whenever it starts or restarts; then a sweep yields `[loss]` for each learning
    rate, a short training `[losses, judged, judged_sd]`."""

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
class Judge:
    """A task's loss on fixed batches in evaluation mode: without dropout, and with the running
    statistics of batch normalisation, which lag behind fast-moving weights.

    `held_out` is True for validation batches; a task without any is judged on training batches.
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
        """This judge with a single batch, which costs about a third of a training step."""
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


@dataclass(frozen=True)
class Setup:
    """What to train. `make_optimizer(model)` returns the optimizer, and a function from the test's
    learning rate to those of its parameter groups. `elsewhere` trains pieces in any order; it
    requires a spec that describes everything to train."""

    spec: FindSpec
    task: Task
    make_optimizer: Callable[[nn.Module], tuple[Optimizer, GroupLrs]]
    elsewhere: Elsewhere | None = None

    @cached_property
    def judge(self) -> Judge:
        return Judge.of(self.task, self.spec.recipe.precision)

    def carried_out(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, list[Any]]]:
        """Train pieces and yield their results as they arrive; in this process, one by one."""
        if self.elsewhere is not None:
            return self.elsewhere(pieces)
        return ((piece, left) for piece in pieces for left in carry_out(self, piece))


def carry_out(setup: Setup, piece: Piece) -> Iterator[list[Any]]:
    """Train a piece in this process and yield its results."""
    yield []
    judge = setup.judge if piece.judged else None
    if piece.kind == "short":
        yield _short(setup, piece, judge)
        return
    watch = Watch(BLOWN_UP)
    for loss in read(_points(setup, piece, judge and judge.quick())):
        yield [loss]
        if watch.ends(loss) and (piece.stops or not math.isfinite(loss)):
            return


def _points(setup: Setup, piece: Piece, judge: Judge | None) -> Iterator[Tensor]:
    """A loss for each learning rate: the mean over its steps, or the judge's after the last one."""
    import torch

    part: list[Tensor] = []
    every_lr = (lr for lr in piece.lrs for _ in range(piece.steps))
    for model, loss in trained(setup, piece.seed, every_lr):
        part.append(loss)
        if len(part) == piece.steps:
            yield judge(model) if judge else loss if piece.steps == 1 else torch.stack(part).mean()
            part.clear()


def _short(setup: Setup, piece: Piece, judge: Judge | None) -> list[Any]:
    """The losses, up to the first that is not finite or above the limit, with the mean and standard
    deviation of the judge's loss. The judge runs a few times in the last quarter or, under a
    schedule, whose end is what counts, after each of the last few steps."""
    judgements: list[Tensor] = []
    stride = 1 if piece.paces else max(1, piece.steps // 16)
    judged_at = {piece.steps - place * stride for place in range(JUDGEMENTS)}

    def train() -> Iterator[Tensor]:
        paces = piece.paces or repeat((1.0, None), piece.steps)
        for step, (model, loss) in enumerate(
            trained(setup, piece.seed, repeat(piece.lrs[0]), paces), 1
        ):
            if judge is not None and step in judged_at:
                judgements.append(judge(model))
            yield loss

    losses = []
    for loss in read(train()):
        losses.append(loss)
        if not math.isfinite(loss) or loss > piece.limit:
            break
    found = list(read(judgements))
    with np.errstate(invalid="ignore"):  # a loss may be infinite
        return (
            [losses, float(np.mean(found)), float(np.std(found))] if found else [losses, None, None]
        )


def trained(
    setup: Setup, seed: int, lrs: Iterable[float], paces: Iterable[Pace] = repeat((1.0, None))
) -> Iterator[tuple[nn.Module, Tensor]]:
    """Train a seed's model with one learning rate per step, until `lrs` or `paces` end. Yields the
    model after each step and the batch's mean loss before it, without waiting for the device."""
    import torch

    from lrbench.engine.train import steps

    model = setup.task.model(seed)
    optimizer, group_lrs = setup.make_optimizer(model)
    torch.manual_seed(seed)

    def row(lr: float, multiplier: float, momentum: float | None) -> Row:
        every_lr = tuple(multiplier * each for each in group_lrs(lr))
        return Row(every_lr, () if momentum is None else (momentum,) * len(every_lr))

    rows = (row(lr, *pace) for lr, pace in zip(lrs, paces, strict=False))
    every_batch = batches(setup.task, seed)
    for step in steps(setup.task, model, optimizer, every_batch, rows, setup.spec.recipe):
        yield model, step.loss


def batches(task: Task, seed: int) -> Iterator[Any]:
    """The task's batches, epoch after epoch; raises UsageError if an epoch has none."""
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


def read(tensors: Iterable[Tensor]) -> Iterator[float]:
    """The numbers in single-element tensors; waits for an asynchronous device only every few
    tensors."""
    import torch

    pending: list[Tensor] = []
    for tensor in tensors:
        pending.append(tensor)
        if len(pending) == READ_EVERY or tensor.device.type == "cpu":
            yield from torch.stack(pending).flatten().tolist()
            pending = []
    if pending:
        yield from torch.stack(pending).flatten().tolist()


def step_flops(setup: Setup) -> int:
    """The floating-point operations of one training step, counted while running one."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        list(trained(setup, setup.spec.seeds[0], [0.0]))
    return int(counter.get_total_flops())


def others_train(setup: Setup) -> bool:
    """True if groups that are not swept are trained as well."""
    _, group_lrs = setup.make_optimizer(setup.task.model(setup.spec.seeds[0]))
    return any(group_lrs(0.0))


def reached(setup: Setup) -> bool:
    """True if a non-zero gradient reaches a parameter."""
    ((model, _),) = trained(setup, setup.spec.seeds[0], [0.0])
    return any(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


def shuffles(task: Task) -> bool:
    """True if the order of a task's batches is known to be random."""
    return hasattr(task, "orders") or getattr(task, "shuffles", False)


def _spread(batches: Iterable[Any]) -> tuple[Any, ...]:
    """`TRAINING_BATCHES` evenly spaced batches, holding few others at a time."""
    kept, stride = [], 1
    for place, batch in enumerate(batches):
        if place % stride == 0:
            kept.append(batch)
        if len(kept) == 2 * TRAINING_BATCHES:
            kept, stride = kept[::2], 2 * stride
    count = min(TRAINING_BATCHES, len(kept))
    return tuple(kept[i * len(kept) // count] for i in range(count))
