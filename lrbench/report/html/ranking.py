"""The ranking as rows of a page: numbers, and where each interval lies on the common scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import Standing, in_cell
from lrbench.report import shown
from lrbench.report.plots.axes import run_looks
from lrbench.report.text import clean

ROOM = 0.06  # of the scale, left and right of what is drawn
WIDEST = 1.0  # spans of the seeds by which an interval may widen the scale


@dataclass(frozen=True)
class Cell:
    """What a table shows, and the number that it is sorted by, None last."""

    text: str
    key: float | str | None


@dataclass(frozen=True)
class Row:
    """A schedule of the ranking. Places are per cent of the drawing's width; `interval` and
    `mean` are None where there is none."""

    name: str
    place: int | None
    group: str
    first_of_group: bool
    cells: dict[str, Cell]
    title: str
    seeds: tuple[float, ...]
    mean: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Table:
    """One ranking of the run: `where` says which, if there are several; `low` and `high` are the
    ends of the drawing's scale."""

    where: str
    metric: str
    low: str
    high: str
    rows: tuple[Row, ...]


def tables(summary: Summary) -> list[Table]:
    """A table for each standing, in their order."""
    return [_table(summary, standing) for standing in summary.standings]


def where(summary: Summary, standing: Standing) -> str:
    """What tells this standing from the run's others: the budget, the batch size, or both."""
    several = summary.standings
    parts = []
    if len({other.budget for other in several}) > 1:
        parts.append(f"{standing.budget} epochs")
    if len({other.batch_size for other in several}) > 1:
        parts.append(f"batch {standing.batch_size}")
    return ", ".join(parts)


def _table(summary: Summary, standing: Standing) -> Table:
    frame = summary.ranking[in_cell(summary.ranking, standing.budget, standing.batch_size)]
    rows = shown.records(frame)
    low, high = _scale(standing, rows)
    return Table(
        where(summary, standing),
        standing.metric.replace("_", " "),
        shown.value(low, math.nan, standing.metric),
        shown.value(high, math.nan, standing.metric),
        tuple(_rows(summary, standing, rows, low, high)),
    )


def _scale(standing: Standing, rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """From the worst to the best seed, wider for intervals as far as they leave the seeds room."""
    seeds = standing.values[np.isfinite(standing.values)]
    if not len(seeds):
        return 0.0, 1.0
    low, high = float(seeds.min()), float(seeds.max())
    span = max(high - low, 1e-4)
    ends = [row[key] for row in rows for key in ("ci_low", "ci_high")]
    known = [end for end in ends if math.isfinite(end)]
    low = max(min([low, *known]), low - WIDEST * span)
    high = min(max([high, *known]), high + WIDEST * span)
    low, high = low - ROOM * (high - low or span), high + ROOM * (high - low or span)
    if is_accuracy(standing.metric):
        return max(low, 0.0), min(high, 1.0)
    return max(low, 0.0), high


def _rows(
    summary: Summary, standing: Standing, rows: Sequence[Mapping[str, Any]], low: float, high: float
) -> Iterator[Row]:
    looks = run_looks(summary)
    before = None
    for place, row in enumerate(rows):
        name = standing.names[place]
        group = standing.letters[place] or shown.MISSING
        interval = (row["ci_low"], row["ci_high"])
        values = standing.values[:, place]
        yield Row(
            name=clean(name),
            place=looks[name].place if name in looks else None,
            group=group,
            first_of_group=place > 0 and group != before,
            cells=_cells(row, standing.metric, first=place == 0),
            title=_title(name, row, values, standing),
            seeds=tuple(_at(v, low, high) for v in values[np.isfinite(values)]),
            mean=None if math.isnan(row["metric_mean"]) else _at(row["metric_mean"], low, high),
            interval=None
            if math.isnan(interval[0])
            else (_at(interval[0], low, high), _at(interval[1], low, high)),
        )
        before = group


def _at(value: float, low: float, high: float) -> float:
    """Where a value lies, in per cent of the width; what lies outside is put on the edge."""
    return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)


def _title(name: str, row: Mapping[str, Any], values: Any, standing: Standing) -> str:
    seeds = ", ".join(
        shown.value(v, math.nan, standing.metric) for v in values[np.isfinite(values)]
    )
    mean = shown.value(row["metric_mean"], shown.half(row, "ci"), standing.metric)
    return f"{clean(name)}: {mean}; seeds: {seeds or 'none ended well'}"


def _cells(row: Mapping[str, Any], metric: str, *, first: bool) -> dict[str, Cell]:
    best = first and row["diff_to_best"] == 0
    texts = {
        "rank": str(row["rank"]),
        "lr": f"{row['lr']:.3g}",
        "metric_mean": shown.value(row["metric_mean"], shown.half(row, "ci"), metric),
        "diff_to_best": "best" if best else shown.difference(row, "diff_to_best", metric),
        "p_adjusted": shown.number(row["p_adjusted"], ".2g"),
        "n": shown.seeds(row),
    }
    return {name: Cell(text, key(row[name])) for name, text in texts.items()}


def key(value: Any) -> float | None:
    """What a column is sorted by: None for what is missing, which comes last."""
    if value is None or value != value:
        return None
    return float(value)
