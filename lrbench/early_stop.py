"""Ending a training early, when its metric no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lrbench.errors import UsageError
from lrbench.registry import did_you_mean

METRICS = ("val_loss", "val_accuracy", "train_loss")
KEYS = ("patience", "metric", "min_delta")
FORM = "write it like patience=5,metric=val_loss,min_delta=0.001"


@dataclass(frozen=True)
class Seen:
    """The best value of the metric so far (None before the first epoch), and the epochs since."""

    best: float | None = None
    waited: int = 0


@dataclass(frozen=True)
class EarlyStop:
    """Stop after `patience` epochs in a row in which the metric was not better than the best so
    far by more than `min_delta`."""

    patience: int = 5
    metric: str = "val_loss"
    min_delta: float = 0.0

    @staticmethod
    def parse(text: str) -> EarlyStop:
        """
        >>> str(EarlyStop.parse("patience=3"))
        'patience=3,metric=val_loss,min_delta=0.0'

        Raises:
            UsageError: not of that form.
        """
        values: dict[str, str] = {}
        for part in text.split(","):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise UsageError(f"{part.strip()!r} is not of the form key=value", hint=FORM)
            if key not in KEYS:
                raise UsageError(f"unknown key {key!r}", hint=did_you_mean(key, KEYS) or FORM)
            if key in values:
                raise UsageError(f"{key} is given twice")
            values[key] = value
        metric = values.get("metric", "val_loss")
        if metric not in METRICS:
            raise UsageError(f"metric={metric}: choose {', '.join(METRICS)}")
        return EarlyStop(_patience(values.get("patience", "5")), metric, _delta(values))

    def __str__(self) -> str:
        return f"patience={self.patience},metric={self.metric},min_delta={self.min_delta!r}"

    def observe(self, seen: Seen, metrics: Mapping[str, float]) -> Seen:
        """What is known after one more epoch.

        Raises:
            UsageError: the task does not measure the metric.

        >>> stop = EarlyStop(patience=2, min_delta=0.1)
        >>> stop.observe(Seen(best=1.0), {"val_loss": 0.95})
        Seen(best=1.0, waited=1)
        """
        if self.metric not in metrics:
            raise UsageError(f"--early-stop metric={self.metric}: the task does not measure it")
        value = metrics[self.metric]
        sign = 1 if self.metric.endswith("accuracy") else -1
        better = math.isfinite(value) and (
            seen.best is None or sign * (value - seen.best) > self.min_delta
        )
        return Seen(value) if better else Seen(seen.best, seen.waited + 1)

    def reason(self, seen: Seen, epochs_done: int, epochs: int) -> str:
        """Why the training ends now, in words; empty where it goes on."""
        if seen.waited < self.patience or epochs_done >= epochs:
            return ""
        best = "never finite" if seen.best is None else f"{seen.best:.4g}"
        return (
            f"stopped early after epoch {epochs_done} of {epochs}: the best {self.metric} "
            f"({best}) is {seen.waited} epochs old"
        )


def _patience(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"patience={text}: must be a whole number of epochs of at least 1")
    return int(text)


def _delta(values: Mapping[str, str]) -> float:
    text = values.get("min_delta", "0")
    try:
        delta = float(text)
    except ValueError:
        delta = math.nan
    if not math.isfinite(delta) or delta < 0:
        raise UsageError(f"min_delta={text}: must be a finite number of at least 0")
    return delta
