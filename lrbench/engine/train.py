"""The training loop of trials and range tests, for any task, on CPU and CUDA."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from lrbench.engine.clock import Clockwork, Row
from lrbench.engine.device import forget_peak_memory, peak_memory
from lrbench.engine.method import (
    PLAIN,
    Average,
    Step,
    clips,
    compiled,
    for_judging,
    grouped,
    one_step,
    stacked,
)
from lrbench.optimizers import build
from lrbench.options import Recipe, TrialSpec
from lrbench.options.early_stop import EarlyStop, Seen
from lrbench.records import EpochRecord, Record, Status, StepRecord, TrialEnd
from lrbench.tasks.base import Task, optimizer_steps, start_training


def steps(
    task: Task,
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Any],
    rows: Iterable[Row],
    recipe: Recipe = PLAIN,
    average: Average | None = None,
) -> Iterator[Step]:
    """Train on the batches, with one row of learning rates per step, until either runs out.

    Never waits for the device: the caller decides when to read the yielded values.
    """
    called = compiled(model, recipe)
    start_training(model)
    # schedule-free optimizers train one set of weights and evaluate another
    if hasattr(optimizer, "train"):
        optimizer.train()
    for row, parts in zip(rows, grouped(batches, recipe), strict=False):
        row.apply(optimizer)
        step = one_step(task, called, optimizer, parts, recipe)
        if average is not None:
            average.update(model)
        yield step


@dataclass(eq=False)
class Training:
    """A trial in progress, between two epochs: everything a checkpoint holds."""

    trial: TrialSpec
    model: nn.Module
    optimizer: Optimizer
    clock: Clockwork
    samples_per_step: int
    average: Average | None = None
    epochs_done: int = 0
    start_loss: float | None = None
    best_loss: float = math.inf
    train_s: float = 0.0
    clipped: int = 0
    early: tuple[float | None, int] = (None, 0)  # the fields of `Seen`
    diverged: str = ""

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def steps_done(self) -> int:
        return self.epochs_done * self.clock.steps_per_epoch

    @cached_property
    def stop(self) -> EarlyStop | None:
        text = self.trial.recipe.early_stop
        return EarlyStop.parse(text) if text else None

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Count the epochs since the best value of the early-stopping metric."""
        if self.stop:
            seen = self.stop.observe(Seen(*self.early), metrics)
            self.early = seen.best, seen.waited

    @property
    def stopped(self) -> str:
        """Why early stopping ends the training; empty if it continues."""
        seen = Seen(*self.early)
        return self.stop.reason(seen, self.epochs_done, self.trial.epochs) if self.stop else ""

    @property
    def goes_on(self) -> bool:
        """True if there is another epoch to train."""
        return self.epochs_done < self.trial.epochs and not (self.stopped or self.diverged)


# An epoch's steps as vectors `[steps]`, and the seconds they took.
RunEpoch = Callable[[Task, Training, Sequence[Row]], tuple[Step, float]]


def begin(task: Task, trial: TrialSpec) -> Training:
    """A trial before its first step: the weights of its seed, optimizer, schedules."""
    model, recipe = task.model(trial.seed), trial.recipe
    optimizer, groups = build(recipe, model, trial.lr)
    clock = Clockwork.of(trial, groups, optimizer_steps(task, recipe))
    samples = task.samples_per_step * recipe.micro_batches
    average = Average(model, recipe.ema) if recipe.ema else None
    training = Training(trial, model, optimizer, clock, samples, average)
    forget_peak_memory(training.device)
    return training


def step_by_step(task: Task, training: Training, rows: Sequence[Row]) -> tuple[Step, float]:
    """Train an epoch in the ordinary way, step by step."""
    trial, model, optimizer = training.trial, training.model, training.optimizer
    batches = task.train_batches(trial.seed, training.epochs_done)
    began = time.perf_counter()
    each = steps(task, model, optimizer, batches, rows, trial.recipe, training.average)
    return stacked(list(each)), time.perf_counter() - began


def train(
    task: Task,
    training: Training,
    *,
    record_steps: bool = False,
    run_epoch: RunEpoch = step_by_step,
) -> Iterator[Record]:
    """Train to the end; yields the records of each epoch when it ends, and a `TrialEnd` last.

    A diverging trial ends early: at the first non-finite loss, after an epoch whose mean loss is
    above start + 10·max(1, start - best so far), or if no score of an evaluation is finite. The
    test set is read once, by a final trial that did not diverge. The training may be saved whenever
    an `EpochRecord` is yielded. `run_epoch` trains one epoch, given the rows of its steps.
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
            yield _end(task, training, "diverged", reason, steps=step)
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
        training.diverged = training.diverged or _unscored("validation", scores)
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
            train_s=epoch_s,
            throughput_img_s=len(losses) * training.samples_per_step / epoch_s,
            clipped_share=clipped,
            **_scores("val", scores, averaged),
        )
    status: Status = "diverged" if training.diverged else "done"
    yield _end(task, training, status, training.diverged or training.stopped)


def is_diverged(mean_loss: float, start_loss: float, best_loss: float) -> bool:
    """Whether an epoch's mean loss is above start + 10·max(1, start - best so far).

    >>> is_diverged(12.0, 2.3, 2.0), is_diverged(13.0, 2.3, 2.0)
    (False, True)
    """
    return mean_loss > start_loss + 10 * max(1.0, start_loss - best_loss)


def _unscored(split: str, scores: Mapping[str, float]) -> str:
    """Why the trial has diverged, if no score of an evaluation is finite; else empty."""
    if not scores or any(map(math.isfinite, scores.values())):
        return ""
    return f"no {split} score is finite ({', '.join(scores)})"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _scores(
    split: str, scores: Mapping[str, float], averaged: Mapping[str, float]
) -> dict[str, Any]:
    """The values of an evaluation that a record keeps; None if missing, infinite or NaN."""
    own = ("loss", "accuracy", "balanced_accuracy")
    return {
        **{f"{split}_{name}": _finite(scores.get(name)) for name in own},
        **{f"ema_{split}_{name}": _finite(averaged.get(name)) for name in own[:2]},
    }


def _train_epoch(
    task: Task, training: Training, rows: Sequence[Row], run_epoch: RunEpoch
) -> tuple[list[float], float | None, float | None, float]:
    """The losses of the epoch's steps, training accuracy, share of clipped steps, and seconds."""
    epoch = training.epochs_done
    # so that dropout depends only on the trial's seed and the epoch
    torch.manual_seed((training.trial.seed * 1_000_003 + epoch * 7_919 + 17) % 2**63)
    training.clock.freeze(training.optimizer, epoch)
    taken, train_s = run_epoch(task, training, rows)
    began = time.perf_counter()
    losses = taken.loss.double().tolist()  # waits for the device
    correct = None if taken.correct is None else float(taken.correct.sum())
    clipped = None if taken.clipped is None else float(taken.clipped.sum())
    train_s += time.perf_counter() - began
    training.train_s += train_s
    training.clipped += int(clipped or 0)
    share = None if clipped is None else clipped / len(losses)
    accuracy = None if correct is None else correct / (len(losses) * training.samples_per_step)
    return losses, accuracy, share, train_s


def _step_records(
    training: Training, rows: Sequence[Row], losses: Sequence[float]
) -> Iterator[StepRecord]:
    groups = training.optimizer.param_groups
    own = [group.get("betas", (group.get("momentum"),))[0] for group in groups]
    for step, (row, loss) in enumerate(zip(rows, losses, strict=True), training.steps_done):
        for group, lr in enumerate(row.lrs):
            moved = row.momenta[group] if row.momenta else None
            momentum = own[group] if moved is None else moved
            momentum = None if momentum is None else float(momentum)
            yield StepRecord(training.trial.id, step, group, lr, momentum, _finite(loss))


def _end(
    task: Task, training: Training, status: Status, reason: str, *, steps: int | None = None
) -> TrialEnd:
    """The end of the trial; reads the test set for a final trial that did not diverge."""
    trial, average, done = training.trial, training.average, training.steps_done
    reads_test = trial.stage == "final" and status == "done"
    scores = task.evaluate(training.model, "test") if reads_test else {}
    averaged = task.evaluate(average.model, "test") if reads_test and average else {}
    if unscored := _unscored("test", scores):
        status, reason = "diverged", unscored
    samples = done * training.samples_per_step
    return TrialEnd(
        trial=trial.id,
        status=status,
        reason=reason,
        epochs=training.epochs_done,
        steps=done if steps is None else steps,
        start_loss=training.start_loss,
        train_s=training.train_s,
        throughput_img_s=samples / training.train_s if training.train_s and done else None,
        peak_mem_bytes=peak_memory(training.device),
        clipped_share=training.clipped / done if done and clips(trial.recipe) else None,
        **_scores("test", scores, averaged),
    )
