"""Tidy frames of what was trained: one row per trial, per epoch, or per step."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from pandas import DataFrame

from lrbench.analysis.diagnosis import diagnose
from lrbench.analysis.question import Question, bits
from lrbench.analysis.tidy import Column, frame
from lrbench.records import EpochRecord, History

SHARE_OF_BEST = 0.99
LAST = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy")
"""Columns that a trial takes from its last epoch."""
_MAIN: dict[str, Any] = {"view": "trial"}
_MORE: dict[str, Any] = {"view": "trials"}
TRIALS = (
    Column("trial", "object", "identifier: a hash of all that fixes the training"),
    Column("stage", "object", "tune or final", title="stage", **_MAIN),
    Column("schedule", "object", "schedule, as a spec", title="schedule", form="name", **_MAIN),
    Column("budget", "int64", "planned epochs", title="epochs", **_MORE),
    Column("lr", "float64", "learning rate", title="LR", **_MAIN),
    Column("seed", "int64", "seed of weights and data order", title="seed", **_MAIN),
    Column("status", "object", "done, diverged or failed; empty while it trains", title="status",
           **_MAIN),
    Column("reason", "object", "why it diverged, failed or stopped early", title="reason",
           view="failure"),
    Column("epochs", "int64", "epochs trained"),
    Column("steps", "int64", "optimizer steps"),
    Column("train_loss", "float64", "mean of the last epoch", title="train loss", **_MORE),
    Column("val_loss", "float64", "after the last epoch", title="val loss", **_MORE),
    Column("val_accuracy", "float64", "after the last epoch", title="val accuracy", **_MORE),
    Column("test_loss", "float64", "on the test set, finals only", title="test loss", **_MORE),
    Column("test_accuracy", "float64", "on the test set, finals only", title="test accuracy",
           **_MORE),
    Column("best_val_accuracy", "float64", "highest after any epoch"),
    Column("epochs_to_target", "float64", "epochs until validation accuracy reached the target"),
    Column("time_to_target_s", "float64", "training seconds until then"),
    Column("train_s", "float64", "training seconds, without evaluation", title="seconds", **_MORE),
    Column("throughput_img_s", "float64", "images per second"),
    Column("peak_mem_bytes", "Int64", "peak memory of the device; on a CPU, of the process"),
    Column("train_accuracy", "float64", "mean of the last epoch"),
    Column("start_loss", "float64", "loss of the first batch"),
    Column("val_auc", "float64", "mean height of the validation accuracy over the epochs"),
    Column("batch_size", "int64", "images in a batch of the plain recipe", title="batch", **_MORE),
    Column("clipped_share", "float64", "share of steps whose gradients were clipped"),
    Column("ema_test_loss", "float64", "test loss of the averaged weights"),
    Column("ema_test_accuracy", "float64", "test accuracy of the averaged weights"),
    Column("val_balanced_accuracy", "float64", "mean accuracy over the classes, validation"),
    Column("test_balanced_accuracy", "float64", "mean accuracy over the classes, test"),
    Column("val_bits", "float64", "validation loss of a text in bits per character",
           title="val bits", **_MORE),
    Column("test_bits", "float64", "test loss of a text in bits per character",
           title="test bits", **_MORE),
    Column("study", "int64", "repetition of the whole comparison; 0 is the first",
           title="study", several=True, **_MORE),
    Column("step_images", "int64", "images in an optimizer step"),
    Column("weight_decay", "float64", "weight decay", title="weight decay", form=".3g",
           several=True, **_MORE),
    Column("diagnosis", "object", "rules that fired, joined by `;`",
           title="diagnosis", form="words", **_MORE),
)  # fmt: skip
EPOCHS = (
    Column("trial", "object", "identifier of the trial"),
    Column("schedule", "object", "schedule, as a spec"),
    Column("lr", "float64", "learning rate of the trial"),
    Column("seed", "int64", "seed of the trial"),
    Column("epoch", "int64", "1 is the first"),
    Column("step", "int64", "optimizer steps done by its end"),
    Column("lr_first", "float64", "learning rate of its first step"),
    Column("lr_last", "float64", "learning rate of its last step"),
    Column("train_loss", "float64", "mean over its steps"),
    Column("train_accuracy", "float64", "mean over its steps"),
    Column("val_loss", "float64", "after the epoch"),
    Column("val_accuracy", "float64", "after the epoch"),
    Column("train_s", "float64", "training seconds"),
    Column("throughput_img_s", "float64", "images per second"),
    Column("stage", "object", "tune or final"),
    Column("budget", "int64", "planned epochs"),
    Column("batch_size", "int64", "images in a batch of the plain recipe"),
    Column("study", "int64", "repetition of the whole comparison; 0 is the first"),
    Column("clipped_share", "float64", "share of its steps that were clipped"),
    Column("ema_val_loss", "float64", "validation loss of the averaged weights"),
    Column("ema_val_accuracy", "float64", "validation accuracy of the averaged weights"),
    Column("val_balanced_accuracy", "float64", "mean accuracy over the classes"),
)
STEPS = (
    Column("trial", "object", "identifier of the trial"),
    Column("step", "int64", "0 is the first"),
    Column("group", "int64", "parameter group, 0 is the first"),
    Column("lr", "float64", "learning rate of the group in this step"),
    Column("momentum", "float64", "its momentum"),
    Column("train_loss", "float64", "loss of the step's batch"),
)


def trials_frame(histories: Sequence[History], target: float | None) -> DataFrame:
    """One row per trial; the status of a trial that has not ended is empty."""
    return frame((_trial(history, target) for history in histories), TRIALS)


def epochs_frame(histories: Sequence[History]) -> DataFrame:
    """One row per trial and epoch."""
    return frame(_epochs(histories), EPOCHS)


def steps_frame(histories: Sequence[History]) -> DataFrame:
    """One row per trial, step and parameter group, where steps were recorded."""
    return frame((step for history in histories for step in history.steps), STEPS)


def _trial(history: History, target: float | None) -> dict[str, Any]:
    spec, epochs, end = history.spec, history.epochs, history.end
    last, heights = epochs[-1] if epochs else None, [epoch.val_accuracy for epoch in epochs]
    so_far = {
        "epochs": len(epochs),
        "steps": last.step if last else 0,
        "train_s": sum(epoch.train_s for epoch in epochs),
    }
    row = {
        **dict.fromkeys(column.name for column in TRIALS),
        **{name: getattr(last, name, None) for name in LAST},
        **(vars(end) if end else so_far),
        **_settings(history),
        "trial": spec.id,
        "best_val_accuracy": max((each for each in heights if each is not None), default=None),
        "val_auc": area_under(heights),
        "step_images": spec.recipe.effective_batch,
        "weight_decay": spec.recipe.weight_decay,
        "diagnosis": ";".join(diagnose(history)),
    }
    row["epochs_to_target"], row["time_to_target_s"] = reached(epochs, target)
    if spec.recipe.problem == "text":
        row["val_bits"], row["test_bits"] = bits(row["val_loss"]), bits(row["test_loss"])
    return row


def _epochs(histories: Iterable[History]) -> Iterator[dict[str, Any]]:
    for history in histories:
        settings = _settings(history)
        yield from ({**vars(epoch), **settings} for epoch in history.epochs)


def _settings(history: History) -> dict[str, Any]:
    spec = history.spec
    return {
        "stage": spec.stage,
        "schedule": spec.name,
        "budget": spec.epochs,
        "lr": spec.lr,
        "seed": spec.seed,
        "batch_size": spec.batch_size,
        "study": spec.study or 0,
    }


def completed(trials: DataFrame) -> DataFrame:
    """A frame like `trials.csv` with every column. Columns it lacks hold missing values; all its
    trials then count as one batch size, one study and one weight decay."""
    whole = trials.reindex(columns=[column.name for column in TRIALS])
    cell = ("batch_size", "study")
    known = whole.fillna(dict.fromkeys((*cell, "weight_decay"), 0))
    return known.astype(dict.fromkeys(cell, "int64"))


def in_order(histories: Iterable[History], question: Question) -> list[History]:
    """Tuning before finals, then schedules in the order named, batch size, budget, LR and seed, so
    that the order does not depend on which trial ran first."""
    places = {name: place for place, name in enumerate(question.schedules)}

    def key(history: History) -> tuple[Any, ...]:
        spec = history.spec
        place = places.get(spec.name, len(places))
        settings = (spec.batch_size, spec.epochs, spec.recipe.weight_decay, spec.lr, spec.seed)
        return spec.stage == "final", place, spec.name, settings

    return sorted(histories, key=key)


def default_target(histories: Iterable[History]) -> float | None:
    """99 % of the best schedule's mean final validation accuracy, over final trials that ended
    well; None before the first one."""
    finals: dict[tuple[str, int, int], list[float]] = {}
    for history in histories:
        spec, end = history.spec, history.end
        if spec.stage != "final" or end is None or end.status != "done" or not history.epochs:
            continue
        accuracy = history.epochs[-1].val_accuracy
        if accuracy is not None:
            cell = (spec.name, spec.epochs, spec.batch_size)
            finals.setdefault(cell, []).append(accuracy)
    return SHARE_OF_BEST * max(map(fmean, finals.values())) if finals else None


def reached(
    epochs: Sequence[EpochRecord], target: float | None
) -> tuple[float, float] | tuple[None, None]:
    """(epochs, training seconds) at which validation accuracy first reaches the target,
    interpolated linearly between the ends of two epochs; a whole epoch if the accuracy at its start
    is unknown. (None, None) if never."""
    start, seconds = None, 0.0
    for epoch in epochs:
        accuracy, end = epoch.val_accuracy, seconds + epoch.train_s
        if target is not None and accuracy is not None and accuracy >= target:
            part = 1.0 if start is None else (target - start) / (accuracy - start)
            return epoch.epoch - 1 + part, seconds + part * (end - seconds)
        start, seconds = accuracy, end
    return None, None


def area_under(curve: Sequence[float | None]) -> float | None:
    """The mean height, 0..1, of the accuracy curve from its first to its last epoch (trapezoids);
    None if an epoch has no accuracy.

    >>> area_under([0.5, 1.0, 1.0])
    0.875
    """
    heights = [height for height in curve if height is not None]
    if not heights or len(heights) < len(curve):
        return None
    return fmean((a + b) / 2 for a, b in pairwise(heights)) if heights[1:] else heights[0]
