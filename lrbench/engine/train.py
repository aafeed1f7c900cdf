"""The training loop of trials and range tests, for any task, on CPU and CUDA."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrbench.early_stop import EarlyStop, Seen
from lrbench.engine.clock import Clockwork, Row
from lrbench.engine.method import (
    PLAIN,
    Average,
    Method,
    Step,
    one_step,
    optimizer_steps,
    stacked,
)
from lrbench.engine.two_weights import for_judging, for_training
from lrbench.records import EpochRecord, Record, Status, StepRecord, TrialEnd
from lrbench.tasks.base import start_training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from lrbench.experiment import TrialSpec
    from lrbench.tasks.base import Task


def steps(
    task: Task,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Any],
    rows: Iterable[Row],
    method: Method = PLAIN,
    average: Average | None = None,
) -> Iterator[Step]:
    """Train on the batches, one row of learning rates per step, until either runs out.

    Nothing here waits for the device: the caller reads what a step yields when it likes.
    """
    called = method.called(model)
    start_training(model)
    for_training(optimizer)
    for row, parts in zip(rows, method.grouped(batches), strict=False):
        row.apply(optimizer)
        step = one_step(task, called, optimizer, parts, method)
        if average is not None:
            average.update(model)
        yield step


@dataclass(eq=False)
class Training:
    """A trial in progress, between two epochs: everything that a checkpoint holds."""

    trial: TrialSpec
    model: nn.Module
    optimizer: torch.optim.Optimizer
    clock: Clockwork
    average: Average | None = None
    epochs_done: int = 0
    start_loss: float | None = None
    best_loss: float = math.inf
    train_s: float = 0.0
    clipped: int = 0
    early_best: float | None = None
    early_waited: int = 0
    diverged: str = ""

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def steps_done(self) -> int:
        return self.clock.first_step(self.epochs_done)

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Count the epochs since the metric of early stopping was at its best."""
        if self.trial.recipe.early_stop:
            stop = EarlyStop.parse(self.trial.recipe.early_stop)
            seen = stop.observe(Seen(self.early_best, self.early_waited), metrics)
            self.early_best, self.early_waited = seen.best, seen.waited

    @property
    def goes_on(self) -> bool:
        """Whether an epoch is left to train."""
        return self.epochs_done < self.trial.epochs and not (self.stopped or self.diverged)

    @property
    def stopped(self) -> str:
        """Why early stopping ends the training; empty if it goes on."""
        if not self.trial.recipe.early_stop:
            return ""
        stop = EarlyStop.parse(self.trial.recipe.early_stop)
        seen = Seen(self.early_best, self.early_waited)
        return stop.reason(seen, self.epochs_done, self.trial.epochs)


# An epoch's steps as vectors `[steps]`, and the seconds that they took.
RunEpoch = Callable[["Task", Training, Sequence[Row]], tuple[Step, float]]


def begin(task: Task, trial: TrialSpec) -> Training:
    """A trial before its first step: the weights of its seed, optimizer, schedules."""
    import torch

    from lrbench.optimizers import build

    model, recipe = task.model(trial.seed), trial.recipe
    optimizer, groups = build(recipe, model, trial.lr)
    clock = Clockwork.of(trial, groups, optimizer_steps(task, recipe))
    average = Average(model, recipe.ema) if recipe.ema else None
    training = Training(trial, model, optimizer, clock, average)
    if training.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(training.device)
    return training


def step_by_step(task: Task, training: Training, rows: Sequence[Row]) -> tuple[Step, float]:
    """Train an epoch in the ordinary way, one step after the other."""
    batches = task.train_batches(training.trial.seed, training.epochs_done)
    method = Method.of(training.trial.recipe)
    model, optimizer, average = training.model, training.optimizer, training.average
    began = time.perf_counter()
    taken = stacked(list(steps(task, model, optimizer, batches, rows, method, average)))
    return taken, time.perf_counter() - began


def train(
    task: Task,
    training: Training,
    *,
    record_steps: bool = False,
    run_epoch: RunEpoch = step_by_step,
) -> Iterator[Record]:
    """Train to the end and yield the records of each epoch when it ends, a `TrialEnd` last.

    A trial that diverges ends early: at the first loss that is not finite, or after an epoch
    whose mean loss is above start + 10·max(1, start - best so far). The test set is read once,
    by a final trial that ended well. The training may be saved whenever an `EpochRecord` is
    yielded. `run_epoch` trains one epoch; it gets the rows of its steps.
    """
    trial = training.trial
    while training.goes_on:
        rows = training.clock.rows(training.epochs_done)
        losses, accuracy, clipped, epoch_s = _train_epoch(task, training, rows, run_epoch)
        if record_steps:
            yield from _step_records(training, rows, losses)
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is not None:
            step = training.steps_done + bad
            reason = f"the loss was not finite at step {step} (epoch {training.epochs_done + 1})"
            yield end(task, training, "diverged", reason, steps=step)
            return

        mean_loss = math.fsum(losses) / len(losses)
        training.start_loss = training.start_loss if training.epochs_done else losses[0]
        training.epochs_done += 1
        if is_diverged(mean_loss, training.start_loss or 0.0, training.best_loss):
            training.diverged = (
                f"the mean loss of epoch {training.epochs_done} was {mean_loss:.4g}, "
                f"from {training.start_loss:.4g} at the start"
            )
        training.best_loss = min(training.best_loss, mean_loss)
        for_judging(task, training.model, training.optimizer, trial.seed, training.epochs_done - 1)
        scores = task.evaluate(training.model, "val")
        averaged = task.evaluate(training.average.model, "val") if training.average else {}
        metrics = {"train_loss": mean_loss, **{f"val_{k}": v for k, v in scores.items()}}
        yield from training.clock.observe(training.epochs_done - 1, metrics)
        training.observe(metrics)
        yield EpochRecord(
            trial=trial.id,
            epoch=training.epochs_done,
            step=training.steps_done,
            lr_first=rows[0].lrs[0],
            lr_last=rows[-1].lrs[0],
            train_loss=mean_loss,
            train_accuracy=accuracy,
            val_loss=finite(scores.get("loss")),
            val_accuracy=finite(scores.get("accuracy")),
            train_s=epoch_s,
            throughput_img_s=len(losses) * _samples(task, trial) / epoch_s,
            clipped_share=clipped,
            ema_val_loss=finite(averaged.get("loss")),
            ema_val_accuracy=finite(averaged.get("accuracy")),
            val_balanced_accuracy=finite(scores.get("balanced_accuracy")),
        )
    if training.diverged:
        yield end(task, training, "diverged", training.diverged)
    else:
        yield end(task, training, "done", training.stopped)


def _samples(task: Task, trial: TrialSpec) -> int:
    """Samples of one optimizer step."""
    return task.samples_per_step * trial.recipe.micro_batches


def is_diverged(mean_loss: float, start_loss: float, best_loss: float) -> bool:
    """Whether an epoch's mean loss is above start + 10·max(1, start - best so far).

    >>> is_diverged(12.0, 2.3, 2.0), is_diverged(13.0, 2.3, 2.0)
    (False, True)
    """
    return mean_loss > start_loss + 10 * max(1.0, start_loss - best_loss)


def finite(value: float | None) -> float | None:
    """The number, or None if it is missing, infinite or NaN."""
    return value if value is not None and math.isfinite(value) else None


def _train_epoch(
    task: Task, training: Training, rows: Sequence[Row], run_epoch: RunEpoch
) -> tuple[list[float], float | None, float | None, float]:
    """The losses of the epoch's steps, its training accuracy, the share of its steps that were
    clipped, its seconds. The device is waited for once, when the results are read."""
    import torch

    trial, epoch = training.trial, training.epochs_done
    torch.manual_seed(_epoch_seed(trial.seed, epoch))
    training.clock.freeze(training.optimizer, epoch)
    taken, train_s = run_epoch(task, training, rows)
    began = time.perf_counter()
    losses, correct, clipped = _read(taken)
    train_s += time.perf_counter() - began
    training.train_s += train_s
    training.clipped += int(clipped or 0)
    share = None if clipped is None else clipped / len(losses)
    accuracy = None if correct is None else correct / (len(losses) * _samples(task, trial))
    return losses, accuracy, share, train_s


def _read(taken: Step) -> tuple[list[float], float | None, float | None]:
    """The losses of an epoch's steps, its correct answers and its clipped steps, in one
    transfer from the device."""
    import torch

    device, steps = taken.loss.device, len(taken.loss)
    parts = [part for part in (taken.correct, taken.clipped) if part is not None]
    counts = [part.sum().double().to(device)[None] for part in parts]
    numbers: list[float] = torch.cat([taken.loss.double(), *counts]).tolist()
    rest = iter(numbers[steps:])
    correct = None if taken.correct is None else next(rest)
    clipped = None if taken.clipped is None else next(rest)
    return numbers[:steps], correct, clipped


def _epoch_seed(seed: int, epoch: int) -> int:
    """Dropout's generator is seeded anew for each epoch, so that an epoch depends on nothing but
    the trial's seed and its own number."""
    return (seed * 1_000_003 + epoch * 7_919 + 17) % 2**63


def _step_records(
    training: Training, rows: Sequence[Row], losses: Sequence[float]
) -> Iterator[StepRecord]:
    own = [momentum_of(group) for group in training.optimizer.param_groups]
    for step, (row, loss) in enumerate(zip(rows, losses, strict=True), training.steps_done):
        for group, lr in enumerate(row.lrs):
            momentum = row.momenta[group] if row.momenta else own[group]
            yield StepRecord(training.trial.id, step, group, lr, momentum, finite(loss))


def momentum_of(group: Mapping[str, Any]) -> float | None:
    """The momentum of a parameter group, or Adam's first beta; None if it has neither."""
    if "betas" in group:
        return float(group["betas"][0])
    return float(group["momentum"]) if "momentum" in group else None


def end(
    task: Task, training: Training, status: Status, reason: str = "", *, steps: int | None = None
) -> TrialEnd:
    """How the trial ended; reads the test set if it is a final trial that ended well."""
    import torch

    trial, device = training.trial, training.device
    is_final = trial.stage == "final" and status == "done"
    test = task.evaluate(training.model, "test") if is_final else {}
    average = training.average
    averaged = task.evaluate(average.model, "test") if is_final and average else {}
    samples = training.steps_done * _samples(task, trial)
    clips, on_cuda = Method.of(trial.recipe).clips, device.type == "cuda"
    return TrialEnd(
        trial=trial.id,
        status=status,
        reason=reason,
        epochs=training.epochs_done,
        steps=training.steps_done if steps is None else steps,
        start_loss=training.start_loss,
        test_loss=finite(test.get("loss")),
        test_accuracy=finite(test.get("accuracy")),
        train_s=training.train_s,
        throughput_img_s=samples / training.train_s if training.train_s and samples else None,
        peak_mem_bytes=torch.cuda.max_memory_allocated(device) if on_cuda else None,
        clipped_share=training.clipped / training.steps_done if clips and samples else None,
        ema_test_loss=finite(averaged.get("loss")),
        ema_test_accuracy=finite(averaged.get("accuracy")),
        test_balanced_accuracy=finite(test.get("balanced_accuracy")),
    )
