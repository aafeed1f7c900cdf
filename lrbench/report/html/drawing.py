"""The rankings of a page: a table each, with the seeds and the intervals drawn in every row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.pairs import Floats
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import Standing, in_cell
from lrbench.analysis.words import where
from lrbench.report.compared import ranking_table
from lrbench.report.plots.chart import run_looks
from lrbench.report.table import Cell, Table, half, records, value
from lrbench.report.text import clean

ROOM = 0.06  # of the scale, left and right of what is drawn
WIDEST = 1.0  # spans of the seeds by which an interval may widen the scale


@dataclass(frozen=True)
class Row:
    """A schedule of the ranking. Places are per cent of the drawing's width; `interval` and `mean`
    are None where there is none."""

    cells: tuple[Cell, ...]
    series: int
    title: str
    seeds: tuple[float, ...]
    mean: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Ranking:
    """One ranking: `where` says which, if there are several; `low` and `high` are the ends of the
    drawing's scale."""

    where: str
    table: Table
    rows: tuple[Row, ...]
    low: str
    high: str


def rankings(summary: Summary) -> Iterator[Ranking]:
    """One for each standing, in their order."""
    for standing in summary.standings:
        frame = summary.ranking[in_cell(summary.ranking, standing.budget, standing.batch_size)]
        rows = records(frame)
        table = ranking_table(summary, "page", standing=standing)
        low, high = _scale(standing, rows)
        ends = [value(end, math.nan, standing.metric) for end in (low, high)]
        drawn = tuple(_rows(summary, standing, rows, table, low, high))
        yield Ranking(where(standing, summary.standings), table, drawn, *ends)


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
    return max(low, 0.0), min(high, 1.0) if is_accuracy(standing.metric) else high


def _rows(
    summary: Summary,
    standing: Standing,
    rows: Sequence[Mapping[str, Any]],
    table: Table,
    low: float,
    high: float,
) -> Iterator[Row]:
    looks = run_looks(summary)

    def at(number: float) -> float:
        """Where a value lies, in per cent of the width; what lies outside is put on the edge."""
        return round(100 * min(1.0, max(0.0, (number - low) / (high - low))), 2)

    for place, (row, cells) in enumerate(zip(rows, table.rows, strict=True)):
        name, values = standing.names[place], standing.values[:, place]
        known = values[np.isfinite(values)]
        ends = (row["ci_low"], row["ci_high"])
        yield Row(
            cells,
            series=looks[name].place,
            title=_title(name, row, known, standing.metric),
            seeds=tuple(map(at, known)),
            mean=at(row["metric_mean"]) if len(known) else None,
            interval=None if math.isnan(ends[0]) else (at(ends[0]), at(ends[1])),
        )


def _title(name: str, row: Mapping[str, Any], known: Floats, metric: str) -> str:
    seeds = ", ".join(value(v, math.nan, metric) for v in known)
    mean = value(row["metric_mean"], half(row, "ci"), metric)
    return f"{clean(name)}: {mean}; seeds: {seeds or 'none ended well'}"
