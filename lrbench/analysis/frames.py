"""Tidy frames of what was trained: one row per trial, per epoch, per step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrbench.analysis.diagnosis import rule_names
from lrbench.analysis.question import Question
from lrbench.analysis.target import AREA, area_under, reached
from lrbench.records import History

if TYPE_CHECKING:
    from pandas import DataFrame

TRIAL_TYPES = {
    "trial": "object",
    "stage": "object",
    "schedule": "object",
    "budget": "int64",
    "lr": "float64",
    "seed": "int64",
    "status": "object",
    "reason": "object",
    "epochs": "int64",
    "steps": "int64",
    "train_loss": "float64",
    "val_loss": "float64",
    "val_accuracy": "float64",
    "test_loss": "float64",
    "test_accuracy": "float64",
    "best_val_accuracy": "float64",
    "epochs_to_target": "float64",
    "time_to_target_s": "float64",
    "train_s": "float64",
    "throughput_img_s": "float64",
    "peak_mem_bytes": "Int64",
    "train_accuracy": "float64",
    "start_loss": "float64",
    AREA: "float64",
    "batch_size": "int64",
    "clipped_share": "float64",
    "ema_test_loss": "float64",
    "ema_test_accuracy": "float64",
    "val_balanced_accuracy": "float64",
    "test_balanced_accuracy": "float64",
    "diagnosis": "object",
}
EPOCH_TYPES = {
    "trial": "object",
    "schedule": "object",
    "lr": "float64",
    "seed": "int64",
    "epoch": "int64",
    "step": "int64",
    "lr_first": "float64",
    "lr_last": "float64",
    "train_loss": "float64",
    "train_accuracy": "float64",
    "val_loss": "float64",
    "val_accuracy": "float64",
    "train_s": "float64",
    "throughput_img_s": "float64",
    "stage": "object",
    "budget": "int64",
    "batch_size": "int64",
    "clipped_share": "float64",
    "ema_val_loss": "float64",
    "ema_val_accuracy": "float64",
    "val_balanced_accuracy": "float64",
}
STEP_TYPES = {
    "trial": "object",
    "step": "int64",
    "group": "int64",
    "lr": "float64",
    "momentum": "float64",
    "train_loss": "float64",
}


def frame(rows: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> DataFrame:
    """Rows as a frame with exactly these columns and types; no rows, no less columns."""
    import pandas as pd

    listed = list(rows)
    columns = {
        name: pd.Series([row.get(name) for row in listed], dtype=kind)
        for name, kind in types.items()
    }
    return pd.DataFrame(columns)


def completed(trials: DataFrame) -> DataFrame:
    """A frame like `trials.csv` with every column: those that it lacks are missing values, and one
    batch size for all is as good as any."""
    whole = trials.reindex(columns=list(TRIAL_TYPES))
    return whole.fillna({"batch_size": 0}).astype({"batch_size": "int64"})


def in_order(histories: Iterable[History], question: Question) -> list[History]:
    """Tuning before finals, schedules as they were named, then batch size, budget, LR and seed: an
    order that does not tell in which order trials ran."""
    places = {name: place for place, name in enumerate(question.schedules)}

    def key(history: History) -> tuple[Any, ...]:
        spec = history.spec
        place = places.get(spec.name, len(places))
        cell = (spec.recipe.batch_size, spec.epochs)
        return spec.stage == "final", place, spec.name, cell, spec.lr, spec.seed

    return sorted(histories, key=key)


def trials_frame(histories: Sequence[History], target: float | None) -> DataFrame:
    """One row per trial; one that has not ended yet has no status."""
    return frame((_trial_row(history, target) for history in histories), TRIAL_TYPES)


def epochs_frame(histories: Sequence[History]) -> DataFrame:
    """One row per trial and epoch."""
    rows = (
        {**vars(epoch), **_naming(history)} for history in histories for epoch in history.epochs
    )
    return frame(rows, EPOCH_TYPES)


def steps_frame(histories: Sequence[History]) -> DataFrame:
    """One row per trial, step and parameter group, where steps were recorded."""
    return frame((vars(step) for history in histories for step in history.steps), STEP_TYPES)


def _trial_row(history: History, target: float | None) -> dict[str, Any]:
    last = history.epochs[-1] if history.epochs else None
    end = history.end
    curve = [epoch.val_accuracy for epoch in history.epochs]
    known = [accuracy for accuracy in curve if accuracy is not None]
    epochs_needed, seconds_needed = reached(history.epochs, target)
    from_end = {} if end is None else {key: getattr(end, key) for key in _FROM_END}
    return {
        **_naming(history),
        "trial": history.spec.id,
        "epochs": len(history.epochs),
        "steps": last.step if last else 0,
        "train_loss": last and last.train_loss,
        "train_accuracy": last and last.train_accuracy,
        "val_loss": last and last.val_loss,
        "val_accuracy": last and last.val_accuracy,
        "val_balanced_accuracy": last and last.val_balanced_accuracy,
        "best_val_accuracy": max(known, default=None),
        "epochs_to_target": epochs_needed,
        "time_to_target_s": seconds_needed,
        "train_s": sum(epoch.train_s for epoch in history.epochs),
        AREA: area_under(curve),
        "diagnosis": rule_names(history),
        **from_end,
    }


_FROM_END = (
    "status", "reason", "epochs", "steps", "start_loss", "test_loss", "test_accuracy", "train_s",
    "throughput_img_s", "peak_mem_bytes", "clipped_share", "ema_test_loss", "ema_test_accuracy",
    "test_balanced_accuracy",
)  # fmt: skip


def _naming(history: History) -> dict[str, Any]:
    spec = history.spec
    return {
        "stage": spec.stage,
        "schedule": spec.name,
        "budget": spec.epochs,
        "batch_size": spec.recipe.batch_size,
        "lr": spec.lr,
        "seed": spec.seed,
    }
