"""Schedules that react to a metric of the training."""

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import partial
from operator import itemgetter
from typing import Annotated, Any, ClassVar, Literal

from lrbench.errors import UsageError
from lrbench.schedules.definitions import (
    BASE,
    ZERO,
    Bounds,
    Count,
    Fraction,
    NonNegative,
    Rate,
    Timed,
    register,
)

Cut = tuple[float, float]  # the LR before and after; only `greedy` raises it
Epochs = Annotated[int, Bounds(0), Timed.EPOCHS]
Metric = Literal["val_loss", "val_accuracy", "train_loss", "train_accuracy"]
adapting: Callable[..., Any] = partial(register, family="adaptive", watches=itemgetter("metric"))


@adapting(name="plateau", torch="ReduceLROnPlateau", given={"warmup": 0, "eps": 1e-8})
@dataclass
class Plateau:
    """Drops by a factor when a metric stops improving.

    Formula: `b factor^cuts; a cut after more than patience bad epochs`, down to `min`. An epoch is
    bad if it does not improve the metric by more than `threshold`.

    `mode` defaults to `min` for losses, `max` for accuracies. Source: torch's
    `ReduceLROnPlateau`, which makes the same decisions.
    """

    PEER: ClassVar[str] = "torch.optim.lr_scheduler.ReduceLROnPlateau"

    b: float  # the base LR
    metric: Metric = "val_loss"
    _: KW_ONLY
    mode: Literal["min", "max"] | None = None
    factor: Fraction = 0.1
    patience: Epochs = 10
    threshold: NonNegative = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: Epochs = 0
    warmup: Epochs = 0  # `greedy` only
    min_: Rate = ZERO
    eps: float = 1e-8
    best: float | None = field(default=None, init=False)  # the state begins here
    bad_epochs: int = field(default=0, init=False)
    cooldown_left: int = field(default=0, init=False)
    cuts: tuple[tuple[int, float], ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self.mode = self.mode or ("max" if self.metric.endswith("accuracy") else "min")

    def lr(self, step: int) -> float:
        """The LR at a step, given the observations so far."""
        cuts_done = bisect_right(self.cuts, step, key=lambda cut: cut[0])
        return self.cuts[cuts_done - 1][1] if cuts_done else self.b

    def observe(self, metrics: Mapping[str, float], step: int) -> Cut | None:
        """Update with the metrics of the epoch that ended before `step`. Returns the old and new LR
        if the LR changes, else None."""
        if self.metric not in metrics:
            known = ", ".join(metrics) or "nothing"
            raise UsageError(f"the schedule watches {self.metric}, but the epoch measured {known}")
        old = self.lr(step)
        self.take_in(metrics[self.metric], step)
        new = self.lr(step)
        return None if new == old else (old, new)

    def take_in(self, value: float, step: int) -> None:
        """Count the epoch as good or bad, and cut if needed."""
        if self.improves(value):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.cooldown_left > 0:
            self.cooldown_left, self.bad_epochs = self.cooldown_left - 1, 0
        if self.bad_epochs > self.patience:
            self.cut(step)

    def improves(self, value: float) -> bool:
        """True if the value beats the best by more than the threshold; NaN never does."""
        if self.best is None:
            return not math.isnan(value)
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1.0)
        return value > self.best + margin if self.mode == "max" else value < self.best - margin

    def cut(self, step: int) -> None:
        """Lower the LR and start a cooldown."""
        self.cooldown_left, self.bad_epochs = self.cooldown, 0
        self.change(step, max(self.lr(step) * self.factor, self.min_))

    def change(self, step: int, new: float) -> None:
        """Set the LR from `step` on, unless it would change by `eps` or less."""
        if abs(new - self.lr(step)) > self.eps:
            self.cuts = (*self.cuts, (step, new))

    def arguments(self) -> dict[str, Any]:
        """The arguments of the equivalent class `PEER`."""
        names = ("mode", "threshold_mode", "factor", "patience", "threshold", "cooldown")
        own = {name: getattr(self, name) for name in names}
        return {**own, "min_lr": self.min_, "eps": self.eps}

    def state(self) -> dict[str, Any]:
        """The state that `observe` updates, as JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self) if not one.init}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        vars(self).update(state)


@adapting(name="greedy", given={"eps": 1e-8})
@dataclass(kw_only=True)
class Greedy(Plateau):
    """Rises while a metric improves, and falls when it stops.

    Formula: `b factor^(falls-rises); a fall after more than patience bad epochs, a rise after as
    many good ones`, between `min` and `max`. The metric is the mean of the last `window` epochs;
    `warmup` epochs after a rise are not counted; after `reset` falls at `min` it starts over.
    Source: Subramanian et al. 2025, arXiv:2512.14527; `GreedyLR` of transformers, which makes
    the same decisions.
    """

    PEER = "transformers.optimization.GreedyLR"

    factor: Fraction = 0.95
    threshold: NonNegative = 1e-6
    threshold_mode: Literal["rel", "abs"] = "abs"
    min_: Rate = BASE[1]
    max_: Rate = BASE[1000]
    window: Count = 1
    reset: Count = 500
    good_epochs: int = field(default=0, init=False)
    warmup_left: int = field(default=0, init=False)
    floor_left: int = field(default=-1, init=False)
    recent: tuple[float, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.floor_left = self.reset

    def take_in(self, value: float, step: int) -> None:
        self.recent = (*self.recent, value)[-self.window :]
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
            self.warmup_left, self.good_epochs, self.floor_left = self.warmup, 0, self.reset
            self.change(step, min(self.lr(step) / self.factor, self.max_))
        elif self.bad_epochs > self.patience:
            self.cut(step)
            self.floor_left -= self.lr(step) <= self.min_
            if self.floor_left <= 0:
                self.cuts = (*self.cuts, (step, self.b))
                self.best, self.recent, self.floor_left = None, (), self.reset

    def arguments(self) -> dict[str, Any]:
        own = {"max_lr": self.max_, "warmup": self.warmup, "window_size": self.window}
        own |= {"reset_start": self.reset, "smooth": self.window > 1}
        return {**super().arguments(), **own}
