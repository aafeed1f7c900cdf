"""What a range test leaves: plain values, ready for JSON, CSV and a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from lrbench.rangetest.grade import Grade

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Stage = Literal["sweep", "verify", "stability"]


@dataclass(frozen=True)
class FindProgress:
    """One more step of a range test: `done` of at most `total` in this stage. In a sweep a step
    is one learning rate, in the other stages one short training; `loss` is None when it
    diverged. `part` names the row of a table that the test belongs to."""

    stage: Stage
    seed: int
    done: int
    total: int
    lr: float
    loss: float | None
    part: str = ""


@dataclass(frozen=True)
class CurvePoint:
    """One point of one seed's curve: raw and smoothed loss, None where there is none."""

    seed: int
    step: int
    lr: float
    loss: float | None
    smoothed: float | None


@dataclass(frozen=True)
class FindResult:
    """The answer of a range test.

    `lr` is None when `grade` is "none"; `lr_sweep` is what the sweep alone says. `band`: the
    10th and 90th percentile of the seeds' answers. `lr_range`: where the loss begins and ceases
    to fall, the two ends of a cyclical schedule. `max_stable_lr`: the largest learning rate at
    which a short training converges. `rules`: what every rule says. `verification`: the short
    trainings around the answer. `table`: answer and largest stable learning rate against batch
    size and momentum, where they were asked for. `curve`: every point of the sweeps. `trainings`:
    every short training at a constant learning rate. `changes`: settings with which another test
    may do better.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the curve as columns."""
        columns = {name: [getattr(point, name) for point in self.curve] for name in _COLUMNS}
        content = {**vars(self), "curve": columns}
        plain: dict[str, Any] = json.loads(json.dumps(content, default=dict))
        return plain

    def to_json(self, indent: int | None = 2) -> str:
        return json.dumps(self.to_dict(), indent=indent)

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> FindResult:
        """The result that `to_dict` was made of; in old ones, `table` held the trainings.

        Raises:
            KeyError, TypeError, ValueError: it was made of something else.
        """
        json.dumps(content, allow_nan=False)
        columns = content["curve"]
        old = "trainings" not in content
        rows = zip(*(columns[name] for name in _COLUMNS), strict=True)
        fields = {
            **content,
            "reasons": tuple(content["reasons"]),
            "band": _pair(content["band"]),
            "lr_range": _pair(content["lr_range"]),
            "table": () if old else tuple(content["table"]),
            "trainings": tuple(content["table" if old else "trainings"]),
            "curve": tuple(dict(zip(_COLUMNS, row, strict=True)) for row in rows),
        }
        return TypeAdapter(FindResult).validate_python(fields)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw curves, band and answer; gives the matplotlib axes. Nothing is shown or saved."""
        from lrbench.report.find_plot import draw  # the one way back from here to the report

        return draw(self, ax)


_COLUMNS = tuple(CurvePoint.__dataclass_fields__)


def _pair(values: Any) -> tuple[float, float] | None:
    return None if values is None else (float(values[0]), float(values[1]))
