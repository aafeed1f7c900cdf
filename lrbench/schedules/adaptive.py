"""Schedules that answer to how the training goes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from lrbench.errors import UsageError
from lrbench.schedules.definitions import (
    ZERO,
    Bounds,
    NonNegative,
    Numbers,
    Rate,
    Timed,
    register,
)

Cut = tuple[float, float]  # the LR before and after
Factor = Annotated[float, Bounds(0, 1, open=True)]
Epochs = Annotated[int, Bounds(0), Timed.EPOCHS]
Metric = Literal["val_loss", "val_accuracy", "train_loss", "train_accuracy"]


@dataclass
class Plateau:
    """Cuts the LR when a metric has not improved for more than `patience` epochs.

    The one schedule with a state: the best value, the bad epochs in a row, the epochs of
    cooldown left, and the cuts so far.
    """

    base_lr: float
    metric: str
    maximise: bool
    factor: float
    patience: int
    threshold: float = 1e-4
    relative: bool = True
    cooldown: int = 0
    min_lr: float = 0.0
    eps: float = 1e-8
    best: float | None = None
    bad_epochs: int = 0
    cooldown_left: int = 0
    cuts: list[tuple[int, float]] = field(default_factory=list)

    def lr(self, step: int) -> float:
        """The LR of a step, as far as it is known from what has been observed."""
        cuts_done = bisect_right(self.cuts, step, key=lambda cut: cut[0])
        return self.cuts[cuts_done - 1][1] if cuts_done else self.base_lr

    def observe(self, metrics: Mapping[str, float], step: int) -> Cut | None:
        """Take in the metrics of the epoch that ended before `step`; the cut that they cause."""
        if self.metric not in metrics:
            known = ", ".join(metrics) or "nothing"
            raise UsageError(f"plateau watches {self.metric}, but the epoch measured {known}")
        value = metrics[self.metric]
        if self.improves(value):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.cooldown_left > 0:
            self.cooldown_left, self.bad_epochs = self.cooldown_left - 1, 0
        if self.bad_epochs <= self.patience:
            return None
        self.cooldown_left, self.bad_epochs = self.cooldown, 0
        return self.cut(step)

    def improves(self, value: float) -> bool:
        """Whether it beats the best by more than the threshold; NaN never does."""
        if self.best is None:
            return not math.isnan(value)
        margin = self.threshold * (self.best if self.relative else 1.0)
        return value > self.best + margin if self.maximise else value < self.best - margin

    def cut(self, step: int) -> Cut | None:
        """Lower the LR from `step` on, unless it is as low as it may get."""
        old = self.lr(step)
        new = max(old * self.factor, self.min_lr)
        if old - new <= self.eps:
            return None
        self.cuts.append((step, new))
        return old, new

    def state(self) -> dict[str, Any]:
        """All that `observe` has changed, as JSON."""
        return {
            "best": self.best,
            "bad_epochs": self.bad_epochs,
            "cooldown_left": self.cooldown_left,
            "cuts": [list(cut) for cut in self.cuts],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.best = state["best"]
        self.bad_epochs = state["bad_epochs"]
        self.cooldown_left = state["cooldown_left"]
        self.cuts = [(int(step), float(lr)) for step, lr in state["cuts"]]


def watched(numbers: Numbers) -> str:
    """The metric of a `plateau`."""
    return str(numbers["metric"])


@register(
    family="adaptive",
    torch="ReduceLROnPlateau",
    watches=watched,
)
def plateau(
    b: float,
    metric: Metric = "val_loss",
    *,
    mode: Literal["min", "max"] | None = None,
    factor: Factor = 0.1,
    patience: Epochs = 10,
    threshold: NonNegative = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: Epochs = 0,
    min_: Rate = ZERO,
) -> Plateau:
    """Falls by a factor when a metric stops improving.

    Formula: `b factor^cuts; a cut after more than patience bad epochs`, down to `min`. An epoch is
    bad that does not improve the metric by more than `threshold`.

    `mode` follows from the metric: losses are to fall, accuracies to rise. Source: torch's
    `ReduceLROnPlateau`, equal to it decision by decision.
    """
    maximise = metric.endswith("accuracy") if mode is None else mode == "max"
    return Plateau(
        b, metric, maximise, factor, patience, threshold, threshold_mode == "rel", cooldown, min_
    )  # fmt: skip
