"""The epochs of `--graph`: one training step in memory that stays where it is, captured as a CUDA
graph once for each recipe, and replayed for every trial of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from lrbench.engine.clock import Row
from lrbench.engine.method import Method, optimizer_steps
from lrbench.engine.repeat import Work, abreast, lr_type, repeated
from lrbench.engine.step import Step, one_step
from lrbench.errors import UsageError
from lrbench.plugins import is_own

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from lrbench.engine.train import Training
    from lrbench.experiment import Recipe
    from lrbench.tasks.base import OrderedTask, Task

# Fused, so that they read their learning rates from the device; all of their state begins at zero.
CAPTURED = ("sgd", "adam", "adamw")


class Place:
    """A network, its optimizer, the learning rates and the data order of an epoch, and what its
    steps left, all in tensors that are written over and never replaced.

    Before an epoch a trial's own weights and optimizer state are copied in, and after it back, so
    that nothing of a trial stays here.
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
        self.numbers = torch.arange(steps, device=device)
        self.loss = torch.zeros(steps, dtype=torch.float64, device=device)
        self.correct = torch.zeros(steps, dtype=torch.int64, device=device)
        self.clipped = torch.zeros(steps, dtype=torch.bool, device=device)

    def step(self) -> None:
        """Step number `at`: whatever differs between two steps is read from the device."""
        import torch

        torch.index_select(self.lrs, 0, self.at, out=self.lr)
        (orders,) = self.order.index_select(0, self.at)
        batches = [self.task.ordered_batch(order) for order in orders]
        found = one_step(self.task, self.called, self.optimizer, batches, self.method)
        assert found.correct is not None
        # index_copy_ would wait for the device in some versions of torch, with --deterministic
        here = self.numbers == self.at
        torch.where(here, found.loss.double(), self.loss, out=self.loss)
        torch.where(here, found.correct, self.correct, out=self.correct)
        if found.clipped is not None:
            torch.where(here, found.clipped, self.clipped, out=self.clipped)
        self.at.add_(1).remainder_(len(self.lrs))

    def bring(self, training: Training, rows: Sequence[Row]) -> None:
        """Make ready for an epoch of a trial."""
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

    def take_back(self, training: Training, rows: Sequence[Row]) -> Step:
        """Leave the trial as its epoch has made it, and what the epoch's steps left."""
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
        rows[-1].apply(training.optimizer)
        clipped = self.clipped.clone() if self.method.clips else None
        return Step(self.loss.clone(), self.correct.clone(), clipped)

    def _order(self, seed: int, epoch: int, steps: int, parts: int) -> Tensor:
        """The orders of an epoch's batches, `[steps, parts, ...]`: those of a step together."""
        orders = self.task.orders(seed, epoch)[: steps * parts]
        return orders.reshape(steps, parts, *orders.shape[1:])


class Program:
    """The captured step of a recipe, or several of them side by side for as many trials at once:
    branches of one graph, each on a stream and in a place of its own.

    On a CPU they are called one after the other instead of replayed: the same code, and the bits
    of the plain loop.

    Raises:
        UsageError: several at once, of a network that draws random numbers: they would share the
            generator.
    """

    def __init__(self, task: OrderedTask, recipe: Recipe, copies: int = 1) -> None:
        self.places = [Place(task, recipe) for _ in range(copies)]
        self.members: list[Training] = []  # each between two epochs, whenever one of them asks
        device = self.places[0].at.device
        with warnings.catch_warnings():  # Adam says of each step that it could be captured
            warnings.filterwarnings("ignore", message=".*capturable=True")
            if copies > 1 and _draws(self.places[0].step, device):
                raise UsageError("its network draws random numbers: at once they would be shared")
            works = [place.step for place in self.places]
            # at learning rates of zero
            self.again = repeated(works[0] if copies == 1 else abreast(works, device), device)
        self._ahead: list[tuple[Training, Step, float]] = []

    def epoch(self, training: Training) -> tuple[Step, float]:
        """What the steps of a trial's next epoch left, and the seconds that it took. Other members
        that go on are trained beside it, and find theirs when they ask."""
        if not any(member is training for member, _, _ in self._ahead):
            self._train([training, *self._idle(training)][: len(self.places)])
        place = next(i for i, each in enumerate(self._ahead) if each[0] is training)
        _, found, seconds = self._ahead.pop(place)
        return found, seconds

    def wait(self) -> None:
        """Until the device is done."""
        self.places[0].at.item()

    def join(self, training: Training) -> None:
        """From now on the training's epochs are trained here."""
        training.program = self
        self.members.append(training)

    def leave(self, training: Training) -> None:
        """The training has ended, however that was."""
        self.members = [member for member in self.members if member is not training]
        self._ahead = [each for each in self._ahead if each[0] is not training]

    def _idle(self, training: Training) -> list[Training]:
        """The other members that go on and have not been trained ahead."""
        busy = [training, *(member for member, _, _ in self._ahead)]
        return [m for m in self.members if m.goes_on and not any(m is other for other in busy)]

    def _train(self, trainings: Sequence[Training]) -> None:
        began = time.perf_counter()
        each = [
            (place, training, training.clock.rows(training.epochs_done))
            for place, training in zip(self.places, trainings, strict=False)
        ]
        for place, training, rows in each:
            place.bring(training, rows)
        for _ in each[0][2]:
            self.again()
            for place, training, _ in each:
                if training.average is not None:
                    training.average.update(place.model)
        found = [(training, place.take_back(training, rows)) for place, training, rows in each]
        self.wait()
        seconds = time.perf_counter() - began
        self._ahead += [(training, step, seconds) for training, step in found]


def _draws(step: Work, device: torch.device) -> bool:
    """Whether a step draws from the process's generators."""
    import torch

    def states() -> list[Tensor]:
        on_cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
        return [torch.get_rng_state(), *on_cuda]

    before = states()
    step()
    return not all(torch.equal(a, b) for a, b in zip(before, states(), strict=True))


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
