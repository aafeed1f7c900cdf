"""The ranking drawn: every seed, the mean with its interval, and the difference to the best."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.corrections import Floats
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import Standing
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, metric_axis, run_looks
from lrbench.report.style import Look
from lrbench.report.table import difference, records, rows_of, value


@PLOTS.register("final", "the ranking: seeds, means, differences to the best", page=False)
def final_plot(summary: Summary) -> Chart | None:
    """Left the metric with its value and LR, right the paired difference to the best."""
    standing = summary.first
    if standing is None or standing.best is None:
        return None
    rows, several = records(rows_of(standing, summary.ranking)), len(standing.names) > 1
    remarks = tuple(_remark(row, standing.metric) for row in rows)
    behind = (difference(row["diff_to_best"], row, standing.metric) for row in rows[1:])
    panels = (
        _panel(standing, _values(summary, standing, rows), "%",
               "mean and interval; dots: each seed", remarks),
        _panel(standing, _differences(summary, standing), "points",
               "difference to the best, paired", ("best", *behind)),
    )  # fmt: skip
    each = "(of differences: for all pairs together)" if several else "each"
    note = f"intervals: {100 * standing.confidence:g} % {each}"
    count = 1 + several
    return Chart(
        "ranking", panels[:count], (11, 1.9 + 0.4 * len(standing.names)), note, note,
        ratios=(3, 2)[:count], share=True,
    )  # fmt: skip


def _panel(
    standing: Standing, lines: Iterator[Line], unit: str, title: str, remarks: tuple[str, ...]
) -> Panel:
    label, scale = metric_axis(standing.metric, unit)
    return Panel(
        tuple(lines), label, title=title, x_scale=scale, rows=standing.names, remarks=remarks,
        labelled=False, zero_line=unit == "points",
    )  # fmt: skip


def _remark(row: Mapping[str, Any], metric: str) -> str:
    mean = value(row["metric_mean"], math.nan, metric)
    lost = int(row["failed"] + row["collapsed"])
    return f"{mean}, LR {row['lr']:.3g}" + (f", {lost} lost" if lost else "")


def _values(summary: Summary, standing: Standing, rows: list[dict[str, Any]]) -> Iterator[Line]:
    styles = run_looks(summary)
    for place, row in enumerate(rows):
        name, look, seeds = row["schedule"], styles[row["schedule"]], standing.values[:, place]
        ends = floats([row["ci_low"], row["ci_high"]])
        yield Line(name, look, seeds, np.full(len(seeds), place + 0.24), "seeds")
        said = ", ".join(value(x, math.nan, standing.metric) for x in seeds)
        yield from _estimate(
            look,
            place,
            row["metric_mean"],
            ends.clip(0, 1) if is_accuracy(standing.metric) else ends,
            (f"{name}: seeds {said}",),
        )


def _differences(summary: Summary, standing: Standing) -> Iterator[Line]:
    styles, verdicts = run_looks(summary), standing.verdicts
    for place, name in enumerate(standing.names[1:], 1):
        ends = floats([verdicts.intervals.low[place, 0], verdicts.intervals.high[place, 0]])
        yield from _estimate(styles[name], place, verdicts.pairs.mean[place, 0], ends)


def _estimate(
    look: Look, place: int, mean: float, ends: Floats, texts: tuple[str, ...] = ()
) -> Iterator[Line]:
    """A mean and its interval, in the row of that place."""
    yield Line("", look, ends, floats([place, place]), "interval")
    yield Line("", look, floats([mean]), floats([place]), "mean", texts=texts)
