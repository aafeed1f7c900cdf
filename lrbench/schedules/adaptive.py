"""Schedules that answer to how the training goes."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import itemgetter
from typing import Annotated, Any, ClassVar, Literal

from lrbench.errors import UsageError
from lrbench.schedules.definitions import (
    ZERO,
    Bounds,
    Count,
    Fraction,
    NonNegative,
    Rate,
    Timed,
    register,
)
from lrbench.schedules.units import Level

Cut = tuple[float, float]  # the LR before and after; only `greedy` raises it
Epochs = Annotated[int, Bounds(0), Timed.EPOCHS]
Metric = Literal["val_loss", "val_accuracy", "train_loss", "train_accuracy"]
ONE_PERCENT: Any = Level(1, relative=True)
TENFOLD: Any = Level(1000, relative=True)


@dataclass
class Plateau:
    """Cuts the LR when a metric has not improved for more than `patience` epochs.

    After the LR and the metric come the arguments of its peer's class, and then its state.
    """

    PEER: ClassVar[str] = "torch.optim.lr_scheduler.ReduceLROnPlateau"

    base_lr: float
    metric: str
    mode: str
    threshold_mode: str
    factor: float
    patience: int
    threshold: float
    cooldown: int
    min_lr: float
    eps: float = 1e-8
    best: float | None = field(default=None, init=False)
    bad_epochs: int = field(default=0, init=False)
    cooldown_left: int = field(default=0, init=False)
    cuts: tuple[tuple[int, float], ...] = field(default=(), init=False)

    def lr(self, step: int) -> float:
        """The LR of a step, as far as it is known from what has been observed."""
        cuts_done = bisect_right(self.cuts, step, key=lambda cut: cut[0])
        return self.cuts[cuts_done - 1][1] if cuts_done else self.base_lr

    def observe(self, metrics: Mapping[str, float], step: int) -> Cut | None:
        """Take in the metrics of the epoch that ended before `step`; the change of the LR that
        they cause."""
        if self.metric not in metrics:
            known = ", ".join(metrics) or "nothing"
            raise UsageError(f"the schedule watches {self.metric}, but the epoch measured {known}")
        old = self.lr(step)
        self.take_in(metrics[self.metric], step)
        new = self.lr(step)
        return None if new == old else (old, new)

    def take_in(self, value: float, step: int) -> None:
        """Count the epoch as good or bad, and cut."""
        if self.improves(value):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.cooldown_left > 0:
            self.cooldown_left, self.bad_epochs = self.cooldown_left - 1, 0
        if self.bad_epochs > self.patience:
            self.cut(step)

    def improves(self, value: float) -> bool:
        """Whether it beats the best by more than the threshold; NaN never does."""
        if self.best is None:
            return not math.isnan(value)
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1.0)
        return value > self.best + margin if self.mode == "max" else value < self.best - margin

    def cut(self, step: int) -> None:
        """Lower the LR, and begin a cooldown."""
        self.cooldown_left, self.bad_epochs = self.cooldown, 0
        self.change(step, max(self.lr(step) * self.factor, self.min_lr))

    def change(self, step: int, new: float) -> None:
        """Another LR from `step` on, unless it is as good as the old one."""
        if abs(new - self.lr(step)) > self.eps:
            self.cuts = (*self.cuts, (step, new))

    def arguments(self) -> dict[str, Any]:
        """What its peer's class is called with."""
        return {one.name: getattr(self, one.name) for one in fields(self)[2:] if one.init}

    def state(self) -> dict[str, Any]:
        """All that `observe` has changed, as JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self) if not one.init}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        vars(self).update(state)


@dataclass
class Greedy(Plateau):
    """Also raises the LR, after more than `patience` good epochs in a row; `warmup` epochs after a
    rise are not counted. Where it has been cut at `min_lr` `reset_start` times, it starts anew."""

    PEER = "transformers.optimization.GreedyLR"

    max_lr: float = field(kw_only=True)
    warmup: int = field(kw_only=True)
    window_size: int = field(kw_only=True)
    reset_start: int = field(kw_only=True)
    good_epochs: int = field(default=0, init=False)
    warmup_left: int = field(default=0, init=False)
    floor_left: int = field(default=-1, init=False)
    recent: tuple[float, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self.floor_left = self.reset_start

    def take_in(self, value: float, step: int) -> None:
        self.recent = (*self.recent, value)[-self.window_size :]
        value = math.fsum(self.recent) / len(self.recent)
        if self.cooldown_left > 0 or self.warmup_left > 0:
            self.good_epochs = self.bad_epochs = 0
            if self.cooldown_left > 0:
                self.cooldown_left -= 1
            else:
                self.warmup_left -= 1
        elif self.improves(value):
            self.best, self.bad_epochs, self.good_epochs = value, 0, self.good_epochs + 1
        else:
            self.bad_epochs, self.good_epochs = self.bad_epochs + 1, 0
        if self.good_epochs > self.patience:
            self.warmup_left, self.good_epochs, self.floor_left = self.warmup, 0, self.reset_start
            self.change(step, min(self.lr(step) / self.factor, self.max_lr))
        elif self.bad_epochs > self.patience:
            self.cut(step)
            self.floor_left -= self.lr(step) <= self.min_lr
            if self.floor_left <= 0:
                self.cuts = (*self.cuts, (step, self.base_lr))
                self.best, self.recent, self.floor_left = None, (), self.reset_start

    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "smooth": self.window_size > 1}


def _mode(metric: str) -> str:
    return "max" if metric.endswith("accuracy") else "min"


@register(family="adaptive", torch="ReduceLROnPlateau", watches=itemgetter("metric"))
def plateau(
    b: float,
    metric: Metric = "val_loss",
    *,
    mode: Literal["min", "max"] | None = None,
    factor: Fraction = 0.1,
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
    mode_ = mode or _mode(metric)
    return Plateau(b, metric, mode_, threshold_mode, factor, patience, threshold, cooldown, min_)


@register(family="adaptive", watches=itemgetter("metric"))
def greedy(
    b: float,
    metric: Metric = "val_loss",
    *,
    mode: Literal["min", "max"] | None = None,
    factor: Fraction = 0.95,
    patience: Epochs = 10,
    threshold: NonNegative = 1e-6,
    threshold_mode: Literal["rel", "abs"] = "abs",
    cooldown: Epochs = 0,
    warmup: Epochs = 0,
    min_: Rate = ONE_PERCENT,
    max_: Rate = TENFOLD,
    window: Count = 1,
    reset: Count = 500,
) -> Greedy:
    """Rises while a metric improves, and falls when it stops.

    Formula: `b factor^(falls-rises); a fall after more than patience bad epochs, a rise after as
    many good ones`, between `min` and `max`. The metric is the mean of the last `window` epochs.
    Source: Subramanian et al. 2025, arXiv:2512.14527; `GreedyLR` of transformers, equal to it
    decision by decision.
    """
    return Greedy(
        b, metric, mode or _mode(metric), threshold_mode, factor, patience, threshold, cooldown,
        min_, max_lr=max_, warmup=warmup, window_size=window, reset_start=reset,
    )  # fmt: skip
