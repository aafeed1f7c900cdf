"""Trains epochs with a captured step: one training step in fixed memory, captured as a CUDA graph
once per recipe and replayed for each of its trials.

The training loop only sees `train(task, training, run_epoch=program.epoch)`.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrbench.engine.clock import Row
from lrbench.engine.device import check_device
from lrbench.engine.graphs.capture import Work, captured, in_parallel, lr_dtype
from lrbench.engine.method import Step, clips, compiled, one_step, tensors_of
from lrbench.engine.train import Training, train
from lrbench.errors import UsageError
from lrbench.optimizers import build
from lrbench.options import Recipe
from lrbench.plugins import is_own
from lrbench.records import Record, TrialEnd
from lrbench.tasks.base import OrderedTask, Task, optimizer_steps

# Fused, so that they read learning rates from the device; all their state starts at zero.
CAPTURED = ("sgd", "adam", "adamw")
MAX_TRIALS = 16
MIN_GAIN = 1.15  # gain required to double the parallel trials: less may be noise


class Slot:
    """Space for one trial: network, optimizer, the epoch's learning rates and data order, and the
    results of its steps, in tensors that are overwritten and never replaced.

    A trial's weights and optimizer state are copied in before an epoch and out after it, so that
    no trial leaves anything here.
    """

    def __init__(self, task: OrderedTask, recipe: Recipe) -> None:
        self.task, self.recipe = task, recipe
        self.model = task.model(0)
        self.called = compiled(self.model, recipe)
        self.optimizer, groups = build(recipe, self.model, 1.0)
        device = next(self.model.parameters()).device
        steps, parts = optimizer_steps(task, recipe), recipe.micro_batches
        self.lrs = torch.zeros(steps, len(groups), dtype=lr_dtype(device), device=device)
        self.lr = self.lrs[:1].clone()
        for index, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.lr[0, index]
            if "capturable" in group:
                group["capturable"] = True
        self.order = self._order(0, 0, steps, parts).to(device)
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        self.numbers = torch.arange(steps, device=device)
        self.loss = torch.zeros(steps, dtype=torch.float64, device=device)
        self.correct = torch.zeros(steps, dtype=torch.int64, device=device)
        self.clipped = torch.zeros(steps, dtype=torch.bool, device=device)

    def step(self) -> None:
        """Run step number `at`. Whatever differs between steps is read from the device."""
        torch.index_select(self.lrs, 0, self.at, out=self.lr)
        (orders,) = self.order.index_select(0, self.at)
        batches = [self.task.ordered_batch(order) for order in orders]
        found = one_step(self.task, self.called, self.optimizer, batches, self.recipe)
        assert found.correct is not None
        # with --deterministic, index_copy_ waits for the device in some versions of torch
        here = self.numbers == self.at
        torch.where(here, found.loss.double(), self.loss, out=self.loss)
        torch.where(here, found.correct, self.correct, out=self.correct)
        if found.clipped is not None:
            torch.where(here, found.clipped, self.clipped, out=self.clipped)
        self.at.add_(1).remainder_(len(self.lrs))

    def load(self, training: Training, rows: Sequence[Row]) -> None:
        """Prepare a trial's next epoch."""
        for mine, theirs in self._pairs(training):
            for name, value in mine.items():
                if name in theirs:
                    value.copy_(theirs[name])
                else:
                    value.zero_()
        self.lrs.copy_(torch.tensor([row.lrs for row in rows], dtype=self.lrs.dtype))
        steps, parts = self.order.shape[:2]
        self.order.copy_(self._order(training.trial.seed, training.epochs_done, steps, parts))
        self.at.zero_()

    def unload(self, training: Training, rows: Sequence[Row]) -> Step:
        """Copy the trained weights and state back to the trial; returns the results of the epoch's
        steps."""
        for mine, theirs in self._pairs(training):
            for name, value in mine.items():
                if name in theirs:
                    theirs[name].copy_(value)
                else:
                    theirs[name] = value.clone()
        rows[-1].apply(training.optimizer)
        clipped = self.clipped.clone() if clips(self.recipe) else None
        return Step(self.loss.clone(), self.correct.clone(), clipped)

    def _pairs(self, training: Training) -> Iterable[tuple[dict[Any, Any], dict[Any, Any]]]:
        """The tensors of the slot, each with its counterpart in the trial."""
        theirs = _contents(training.model, training.optimizer)
        return zip(_contents(self.model, self.optimizer), theirs, strict=True)

    def _order(self, seed: int, epoch: int, steps: int, parts: int) -> Tensor:
        """The data order of an epoch, `[steps, parts, ...]`: the batches of a step together."""
        orders = self.task.orders(seed, epoch)[: steps * parts]
        return orders.reshape(steps, parts, *orders.shape[1:])


class Program:
    """The captured step of a recipe in `copies` slots, which train as many trials in parallel,
    each on its own stream of one graph.

    On a CPU the slots are called in turn instead of replayed, bit-identical to the plain loop.

    Raises:
        UsageError: several copies of a network that draws random numbers, which would share the
            generator.
    """

    def __init__(self, task: OrderedTask, recipe: Recipe, copies: int = 1) -> None:
        self.slots = [Slot(task, recipe) for _ in range(copies)]
        self.members: list[Training] = []  # all are between two epochs when one asks for its next
        self._ahead: dict[Training, tuple[Step, float]] = {}
        steps = [slot.step for slot in self.slots]
        device = self.slots[0].at.device
        with warnings.catch_warnings():  # Adam warns at each step that it could be captured
            warnings.filterwarnings("ignore", message=".*capturable=True")
            if copies > 1 and _draws(steps[0], device):
                raise UsageError("its network draws random numbers, which parallel trials share")
            # the learning rates are zero until a trial is loaded
            self.replay = captured(steps[0] if copies == 1 else in_parallel(steps, device), device)

    def train(
        self, task: Task, training: Training, *, record_steps: bool = False
    ) -> Iterator[Record]:
        """The records of `engine.train.train`, with epochs trained here. Peak memory is unknown:
        the step allocated it before the trial began."""
        self.members.append(training)
        try:
            for record in train(task, training, record_steps=record_steps, run_epoch=self.epoch):
                if isinstance(record, TrialEnd):
                    record = replace(record, peak_mem_bytes=None)
                yield record
        finally:
            self.members.remove(training)
            self._ahead.pop(training, None)

    def epoch(self, _: Task, training: Training, rows: Sequence[Row]) -> tuple[Step, float]:
        """Train an epoch, as a `RunEpoch`. Free slots train the next epoch of other members, which
        receive it when they ask."""
        if training not in self._ahead:
            idle = [m for m in self.members if m.goes_on and m is not training]
            self._train([training, *(m for m in idle if m not in self._ahead)])
        return self._ahead.pop(training)

    def wait(self) -> None:
        """Wait for the device."""
        self.slots[0].at.item()

    def _train(self, trainings: Sequence[Training]) -> None:
        began = time.perf_counter()
        each = [
            (slot, training, training.clock.rows(training.epochs_done))
            for slot, training in zip(self.slots, trainings, strict=False)
        ]
        for slot, training, rows in each:
            slot.load(training, rows)
        for _ in each[0][2]:
            self.replay()
            for slot, training, _ in each:
                if training.average is not None:
                    training.average.update(slot.model)
        found = {training: slot.unload(training, rows) for slot, training, rows in each}
        self.wait()
        seconds = time.perf_counter() - began
        self._ahead |= {training: (step, seconds) for training, step in found.items()}


def why_not(task: Task, recipe: Recipe) -> str:
    """Why a recipe's steps cannot be captured; empty if they can."""
    if not hasattr(task, "orders") or is_own(recipe.augment):
        return "its batches are made by custom code"
    if recipe.optimizer not in CAPTURED:
        return f"{recipe.optimizer} does not read its learning rate from the device"
    if recipe.optimizer_options:
        return "the optimizer has extra settings (--opt)"
    return ""


def why_eager(training: Training) -> str:
    """Why a trial cannot use its recipe's captured step; empty if it can."""
    if training.clock.frozen:
        return "a group is frozen at first"
    if any(bound.momentum(0) is not None for bound in training.clock.bounds):
        return "the schedule moves the momentum"
    return ""


def _draws(step: Work, device: torch.device) -> bool:
    """True if a step draws from torch's global generators."""
    ask = [torch.get_rng_state]
    if device.type == "cuda":
        ask.append(lambda: torch.cuda.get_rng_state(device))
    before = [state() for state in ask]
    step()
    return not all(torch.equal(old, state()) for old, state in zip(before, ask, strict=True))


def _contents(model: nn.Module, optimizer: Optimizer) -> list[dict[Any, Any]]:
    """The model's tensors, followed by the optimizer's state of each parameter, which is empty
    before its first step."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    return [dict(enumerate(tensors_of(model))), *(optimizer.state[weight] for weight in weights)]


def worthwhile(rate: Callable[[int], float]) -> int:
    """The number of parallel trials, doubled as long as that gives at least 15 % more steps per
    second; `rate(n)` measures n = 1, 2, 4, 8, 16, as far as needed.

    >>> worthwhile({1: 100.0, 2: 190.0, 4: 260.0, 8: 270.0}.__getitem__)
    4
    """
    found, best = 1, rate(1)
    while best and found < MAX_TRIALS and (more := rate(2 * found)) >= MIN_GAIN * best:
        found, best = 2 * found, more
    return found


def probed(task: OrderedTask, recipe: Recipe, device: torch.device) -> int:
    """The best number of parallel trials for the recipe on a device; takes a second or two."""

    def rate(copies: int) -> float:
        try:
            return copies / replay_s(Program(task, recipe, copies))
        except Exception:  # out of memory, random numbers, a failed capture: stop trying
            check_device(device)
            return 0.0

    return worthwhile(rate)


def replay_s(program: Program, span_s: float = 0.2) -> float:
    """Seconds per replay at learning rates of zero, averaged over at least `span_s`."""
    program.replay()
    program.wait()
    runs, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < span_s:
        for _ in range(5):
            program.replay()
        runs += 5
        program.wait()
    return spent / runs
