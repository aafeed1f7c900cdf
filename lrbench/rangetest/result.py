"""The result of a range test: plain values for JSON, CSV and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from lrbench.errors import UsageError
from lrbench.rangetest.groups import ratio_of
from lrbench.rangetest.suggest import Grade

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch.optim import Optimizer

Stage = Literal["sweep", "verify", "stability"]


@dataclass(frozen=True)
class FindProgress:
    """`done` of at most `total` units of a stage: learning rates of a sweep, short trainings in the
    other stages. `loss` is None if it diverged; `part` names the table row being tested."""

    stage: Stage
    seed: int
    done: int
    total: int
    lr: float
    loss: float | None
    part: str = ""


@dataclass(frozen=True)
class CurvePoint:
    """One point of one seed's curve; a raw or smoothed loss that is not finite is None."""

    seed: int
    step: int
    lr: float
    loss: float | None
    smoothed: float | None


_COLUMNS = tuple(CurvePoint.__dataclass_fields__)


@dataclass(frozen=True)
class FindResult:
    """The result of a range test.

    `lr` is None if `grade` is "none"; `lr_sweep` is the answer of the sweep alone. `band`: the 10th
    and 90th percentiles over the seeds. `lr_range`: where the loss starts and stops falling, the
    two ends of a cyclical schedule. `max_stable_lr`: the largest learning rate at which a short
    training converges. `rules`: the answer of every rule. `verification`: the short trainings
    around the answer. `table`: one range test per batch size and momentum, if requested. `curve`:
    all points of the sweeps. `trainings`: all short trainings. `aim`: with a schedule, the run that
    `lr` is for; the short trainings of `verification` then follow that schedule.
    """

    lr: float | None
    lr_sweep: float | None
    grade: Grade
    reasons: tuple[str, ...]
    band: tuple[float, float] | None
    lr_range: tuple[float, float] | None
    max_stable_lr: float | None
    rules: Mapping[str, float | None]
    verification: Mapping[str, Any] | None
    stability: Mapping[str, Any] | None
    table: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any]
    curve: tuple[CurvePoint, ...]
    trainings: tuple[Mapping[str, Any], ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    aim: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, with the curve as columns."""
        columns = {name: [getattr(point, name) for point in self.curve] for name in _COLUMNS}
        content = {**vars(self), "curve": columns}
        plain: dict[str, Any] = json.loads(json.dumps(content, default=dict))
        return plain

    def to_json(self, indent: int | None = 2) -> str:
        return json.dumps(self.to_dict(), indent=indent)

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> FindResult:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: not the dict of a result.
        """
        json.dumps(content, allow_nan=False)
        columns = (content["curve"][name] for name in _COLUMNS)
        curve = [dict(zip(_COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]
        return TypeAdapter(FindResult).validate_python({**content, "curve": curve})

    def __repr__(self) -> str:
        """The answer, the evidence for it, and the main attributes."""
        answer = "no learning rate" if self.lr is None else f"LR {self.lr:.3g}"
        if self.aim is not None:
            answer += f" for {self.aim['schedule']}, {self.aim['steps']:,} steps"
        seeds = len({point.seed for point in self.curve})
        facts = [f"{seeds} seed{'s' * (seeds != 1)}", *self.reasons]
        if self.band is not None:
            low, high = self.band
            sweep = f"sweep LR {self.lr_sweep:.3g}"
            facts.insert(1, f"{sweep}, 10th to 90th percentile {low:.3g} to {high:.3g}")
        if self.max_stable_lr is not None:
            facts.append(f"largest stable LR {self.max_stable_lr:.3g}")
        return (
            f"FindResult: {answer}, grade {self.grade}\n  {'; '.join(facts)}\n"
            "  .lr .grade .reasons .lr_range .rules .curve .plot() .apply() .to_dict()"
        )

    def _repr_html_(self) -> str:
        from lrbench.report.html.notebook import find_cell

        return find_cell(self)

    def doubted(self, doubts: Mapping[str, bool]) -> FindResult:
        """The result with the doubts that hold added to its reasons; weak if any does."""
        reasons = tuple(text for text, holds in doubts.items() if holds)
        if self.lr is None or not reasons:
            return self
        return replace(self, grade="weak", reasons=(*self.reasons, *reasons))

    def apply(self, optimizer: Optimizer) -> None:
        """Set an optimizer's learning rates to the answer. Groups keep the ratio in which they were
        swept; if one group was swept alone, only that group changes. Make a scheduler afterwards.

        Raises:
            UsageError: there is no answer.
        """
        if self.lr is None:
            raise UsageError("there is no learning rate to apply", hint=self.reasons[0])
        starts, alone = self.settings.get("start_lrs", ()), self.settings.get("sweep_group")
        lrs = ratio_of(optimizer, starts, alone)(self.lr)
        for group, lr in zip(optimizer.param_groups, lrs, strict=True):
            if hasattr(group["lr"], "fill_"):
                group["lr"].fill_(lr)  # a captured graph reads this tensor
            else:
                group["lr"] = lr
            if "initial_lr" in group:  # left by an earlier scheduler; a new one would start from it
                group["initial_lr"] = lr

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw curves, band and answer on matplotlib axes; neither shows nor saves them."""
        from lrbench.report.find_plot import draw

        return draw(self, ax)
