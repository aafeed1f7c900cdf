"""Ends a training early when its metric no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from lrbench.errors import UsageError
from lrbench.options.values import Finite, Frozen, pairs, refused


@dataclass(frozen=True)
class Seen:
    """The best value of the metric so far (None before the first epoch), and the epochs since."""

    best: float | None = None
    waited: int = 0


class EarlyStop(Frozen):
    """Stop after `patience` consecutive epochs in which the metric did not beat the best so far by
    more than `min_delta`."""

    patience: Annotated[int, Field(ge=1)] = 5
    metric: Literal["val_loss", "val_accuracy", "train_loss"] = "val_loss"
    min_delta: Annotated[Finite, Field(ge=0)] = 0.0

    @staticmethod
    def parse(text: str) -> EarlyStop:
        """
        >>> str(EarlyStop.parse("patience=3"))
        'patience=3,metric=val_loss,min_delta=0.0'

        Raises:
            UsageError: the text is not of that form.
        """
        given = pairs(
            text.split(","), "write it like patience=5,metric=val_loss,min_delta=0.001",
            known=EarlyStop.model_fields,
        )  # fmt: skip
        try:
            return EarlyStop.model_validate(given)
        except ValidationError as fault:
            raise refused(fault) from None

    def __str__(self) -> str:
        return f"patience={self.patience},metric={self.metric},min_delta={self.min_delta!r}"

    def observe(self, seen: Seen, metrics: Mapping[str, float]) -> Seen:
        """The state after one more epoch.

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
        """Why the training ends now; empty if it continues."""
        if seen.waited < self.patience or epochs_done >= epochs:
            return ""
        best = "never finite" if seen.best is None else f"{seen.best:.4g}"
        return (
            f"stopped early after epoch {epochs_done} of {epochs}: the best {self.metric} "
            f"({best}) is {seen.waited} epochs old"
        )
