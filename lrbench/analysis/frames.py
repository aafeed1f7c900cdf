"""Tidy frames of what was trained: one row per trial, per epoch, per step."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from lrbench.analysis.diagnosis import diagnose
from lrbench.analysis.question import Question, bits
from lrbench.analysis.target import area_under, reached
from lrbench.analysis.tidy import Column, frame
from lrbench.options import TrialSpec
from lrbench.records import EpochRecord, History


@dataclass(frozen=True)
class TrialRow:
    """What the cells of a trial are computed from."""

    history: History
    target: float | None

    @property
    def spec(self) -> TrialSpec:
        return self.history.spec

    @property
    def accuracies(self) -> list[float | None]:
        return [epoch.val_accuracy for epoch in self.history.epochs]


@dataclass(frozen=True)
class EpochRow:
    spec: TrialSpec
    epoch: EpochRecord


def _spec(name: str) -> Callable[[TrialRow | EpochRow], Any]:
    return lambda row: getattr(row.spec, name)


def _last(name: str) -> Callable[[TrialRow], Any]:
    """A field of the trial's last epoch."""
    return lambda row: getattr(row.history.epochs[-1], name) if row.history.epochs else None


def _end(name: str, before: Callable[[TrialRow], Any] = lambda row: None) -> Callable[..., Any]:
    """A field of the trial's end; of a trial that has not ended, what `before` says."""
    return lambda row: before(row) if row.history.end is None else getattr(row.history.end, name)


def _bits(loss: Callable[[TrialRow], Any]) -> Callable[[TrialRow], Any]:
    """A loss in bits, of a text."""
    return lambda row: bits(loss(row)) if row.spec.recipe.problem == "text" else None


def _epoch(name: str, dtype: str, help: str) -> Column:
    return Column(name, dtype, help, lambda row: getattr(row.epoch, name))


def _study(row: TrialRow | EpochRow) -> int:
    return row.spec.study or 0


def _of_last(name: str, help: str, title: str = "") -> Column:
    return Column(name, "float64", help, _last(name), title, view="trials")


def _of_end(name: str, help: str, title: str = "", dtype: str = "float64") -> Column:
    return Column(name, dtype, help, _end(name), title, view="trials")


TRIALS = (
    Column("trial", "object", "identifier: a hash of all that fixes the training", _spec("id")),
    Column("stage", "object", "tune or final", _spec("stage"), "stage", view="trial"),
    Column(
        "schedule", "object", "schedule, as a spec", _spec("name"), "schedule", "name", view="trial"
    ),
    Column("budget", "int64", "epochs that were planned", _spec("epochs"), "epochs", view="trials"),
    Column("lr", "float64", "learning rate", _spec("lr"), "LR", view="trial"),
    Column("seed", "int64", "seed of weights and data order", _spec("seed"), "seed", view="trial"),
    Column(
        "status", "object", "done, diverged or failed; empty while it trains", _end("status"),
        "status", view="trial",
    ),
    Column(
        "reason", "object", "why it diverged, failed or stopped early", _end("reason"), "reason",
        view="failure",
    ),
    Column(
        "epochs", "int64", "epochs trained", _end("epochs", lambda row: len(row.history.epochs))
    ),
    Column(
        "steps", "int64", "optimizer steps", _end("steps", lambda row: _last("step")(row) or 0)
    ),
    _of_last("train_loss", "mean of the last epoch", "train loss"),
    _of_last("val_loss", "after the last epoch", "val loss"),
    _of_last("val_accuracy", "after the last epoch", "val accuracy"),
    _of_end("test_loss", "on the test set, finals only", "test loss"),
    _of_end("test_accuracy", "on the test set, finals only", "test accuracy"),
    Column(
        "best_val_accuracy", "float64", "highest after any epoch",
        lambda row: max((a for a in row.accuracies if a is not None), default=None),
    ),
    Column(
        "epochs_to_target", "float64", "epochs until validation accuracy reached the target",
        lambda row: reached(row.history.epochs, row.target)[0],
    ),
    Column(
        "time_to_target_s", "float64", "training seconds until then",
        lambda row: reached(row.history.epochs, row.target)[1],
    ),
    Column(
        "train_s", "float64", "training seconds, without evaluation",
        _end("train_s", lambda row: sum(epoch.train_s for epoch in row.history.epochs)),
        "seconds", view="trials",
    ),
    _of_end("throughput_img_s", "images per second"),
    _of_end("peak_mem_bytes", "peak memory of the device, on a CPU of the process", dtype="Int64"),
    _of_last("train_accuracy", "mean of the last epoch"),
    _of_end("start_loss", "loss of the first batch"),
    Column(
        "val_auc", "float64", "mean height of the validation accuracy over the epochs",
        lambda row: area_under(row.accuracies),
    ),
    Column(
        "batch_size", "int64", "images in a batch of the plain recipe", _spec("batch_size"),
        "batch", view="trials",
    ),
    _of_end("clipped_share", "share of steps whose gradients were clipped"),
    _of_end("ema_test_loss", "test loss of the weights' average"),
    _of_end("ema_test_accuracy", "test accuracy of the weights' average"),
    _of_last("val_balanced_accuracy", "mean accuracy over the classes, validation"),
    _of_end("test_balanced_accuracy", "mean accuracy over the classes, test"),
    Column("val_bits", "float64", "validation loss of a text in bits per character",
           _bits(_last("val_loss")), "val bits", view="trials"),
    Column("test_bits", "float64", "test loss of a text in bits per character",
           _bits(_end("test_loss")), "test bits", view="trials"),
    Column(
        "study", "int64", "repetition of the whole comparison; 0 is the first", _study, "study",
        several=True, view="trials",
    ),
    Column(
        "step_images", "int64", "images in an optimizer step",
        lambda row: row.spec.recipe.effective_batch,
    ),
    Column(
        "weight_decay", "float64", "weight decay", lambda row: row.spec.recipe.weight_decay,
        "weight decay", ".3g", several=True, view="trials",
    ),
    Column(
        "diagnosis", "object", "rules that found something, joined by `;`",
        lambda row: ";".join(diagnose(row.history)), "diagnosis", "words", view="trials",
    ),
)  # fmt: skip

EPOCHS = (
    _epoch("trial", "object", "identifier of the trial"),
    Column("schedule", "object", "schedule, as a spec", _spec("name")),
    Column("lr", "float64", "learning rate of the trial", _spec("lr")),
    Column("seed", "int64", "seed of the trial", _spec("seed")),
    _epoch("epoch", "int64", "1 is the first"),
    _epoch("step", "int64", "optimizer steps done by its end"),
    _epoch("lr_first", "float64", "learning rate of its first step"),
    _epoch("lr_last", "float64", "learning rate of its last step"),
    _epoch("train_loss", "float64", "mean over its steps"),
    _epoch("train_accuracy", "float64", "mean over its steps"),
    _epoch("val_loss", "float64", "after the epoch"),
    _epoch("val_accuracy", "float64", "after the epoch"),
    _epoch("train_s", "float64", "training seconds"),
    _epoch("throughput_img_s", "float64", "images per second"),
    Column("stage", "object", "tune or final", _spec("stage")),
    Column("budget", "int64", "epochs the trial was planned for", _spec("epochs")),
    Column("batch_size", "int64", "images in a batch of the plain recipe", _spec("batch_size")),
    Column("study", "int64", "repetition of the whole comparison; 0 is the first", _study),
    _epoch("clipped_share", "float64", "share of its steps that were clipped"),
    _epoch("ema_val_loss", "float64", "validation loss of the weights' average"),
    _epoch("ema_val_accuracy", "float64", "validation accuracy of the weights' average"),
    _epoch("val_balanced_accuracy", "float64", "mean accuracy over the classes"),
)

STEPS = (
    Column("trial", "object", "identifier of the trial"),
    Column("step", "int64", "0 is the first"),
    Column("group", "int64", "parameter group, 0 is the first"),
    Column("lr", "float64", "learning rate of the group in this step"),
    Column("momentum", "float64", "its momentum"),
    Column("train_loss", "float64", "loss of the step's batch"),
)


def completed(trials: DataFrame) -> DataFrame:
    """A frame like `trials.csv` with every column; those it lacks hold missing values, and all of
    its trials then count as one batch size, one study and one weight decay."""
    whole = trials.reindex(columns=[column.name for column in TRIALS])
    cell = ("batch_size", "study")
    known = whole.fillna(dict.fromkeys((*cell, "weight_decay"), 0))
    return known.astype(dict.fromkeys(cell, "int64"))


def in_order(histories: Iterable[History], question: Question) -> list[History]:
    """Tuning before finals, schedules as they were named, then batch size, budget, LR and seed: the
    order does not depend on which trial ran first."""
    places = {name: place for place, name in enumerate(question.schedules)}

    def key(history: History) -> tuple[Any, ...]:
        spec = history.spec
        place = places.get(spec.name, len(places))
        cell = (spec.batch_size, spec.epochs)
        settings = (spec.recipe.weight_decay, spec.lr)
        return spec.stage == "final", place, spec.name, cell, settings, spec.seed

    return sorted(histories, key=key)


def trials_frame(histories: Sequence[History], target: float | None) -> DataFrame:
    """One row per trial; one that has not ended yet has no status."""
    return frame((TrialRow(history, target) for history in histories), TRIALS)


def epochs_frame(histories: Sequence[History]) -> DataFrame:
    """One row per trial and epoch."""
    rows = (EpochRow(history.spec, epoch) for history in histories for epoch in history.epochs)
    return frame(rows, EPOCHS)


def steps_frame(histories: Sequence[History]) -> DataFrame:
    """One row per trial, step and parameter group, where steps were recorded."""
    return frame((step for history in histories for step in history.steps), STEPS)
