"""Several rankings of one run against what tells them apart: the budget, or the batch size."""

from collections.abc import Iterator

import numpy as np
from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy, metric_words
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, run_looks
from lrbench.report.style import INK, Look
from lrbench.report.table import half, records, value


@PLOTS.register("budgets", "the metric against the length of training")
def budgets_plot(summary: Summary) -> Chart | None:
    """The smallest batch's, where there are several batch sizes."""
    rows = summary.ranking[summary.ranking["batch_size"] == summary.ranking["batch_size"].min()]
    if rows["budget"].nunique() < 2:
        return None
    panel = _metric_panel(summary, rows, "budget", "epochs; the schedules are stretched to them")
    return Chart("training for longer", (panel,), note=panel.title, every=True)


@PLOTS.register("batch_sizes", "metric and peak memory against the batch size")
def batch_sizes_plot(summary: Summary) -> Chart | None:
    """Of the largest budget; memory where the device reports it."""
    rows = summary.ranking[summary.ranking["budget"] == summary.ranking["budget"].max()]
    if rows["batch_size"].nunique() < 2:
        return None
    first = _metric_panel(summary, rows, "batch_size", "batch size", labelled=False)
    panels = (first, *_memory_panels(summary, first.x_ticks))
    size = (4.6 * len(panels) + 1.5, 4.8)
    return Chart("larger batches", panels, size, first.title, every=True)


def _metric_panel(
    summary: Summary, rows: DataFrame, column: str, x_label: str, *, labelled: bool = True
) -> Panel:
    metric = summary.metric
    return Panel(
        tuple(_metric_lines(summary, rows, column)),
        x_label,
        metric_words(metric) + (", %" if is_accuracy(metric) else ""),
        f"mean and {100 * summary.question.confidence:g} % interval over the seeds",
        x_scale="log2",
        x_ticks=_values(rows, column),
        labelled=labelled,
    )


def _values(rows: DataFrame, column: str) -> tuple[float, ...]:
    return tuple(sorted(rows[column].unique().tolist()))


def _metric_lines(summary: Summary, rows: DataFrame, column: str) -> Iterator[Line]:
    """Means with their intervals; a little apart, so that their bars do not cover each other."""
    scale = 100 if is_accuracy(summary.metric) else 1
    styles, count = run_looks(summary), rows["schedule"].nunique()
    unit = "epochs" if column == "budget" else "images"
    for place, (name, mine) in enumerate(rows.sort_values(column).groupby("schedule", sort=False)):
        x = floats(mine[column]) * (1 + 0.012 * (place - count / 2))
        y, low, high = (scale * floats(mine[key]) for key in ("metric_mean", "ci_low", "ci_high"))
        if scale == 100:
            low, high = low.clip(0, 100), high.clip(0, 100)
        texts = [
            f"{name}, {row[column]} {unit}: "
            + value(row["metric_mean"], half(row, "ci"), summary.metric)
            for row in records(mine)
        ]
        yield Line(str(name), styles[str(name)], x, y, "bars", low, high, texts)


def _memory_panels(summary: Summary, sizes: tuple[float, ...]) -> Iterator[Panel]:
    peaks = summary.trials["peak_mem_bytes"].astype("float64") / 2**20
    memory = floats([peaks[summary.trials["batch_size"] == size].max() for size in sizes])
    if np.isfinite(memory).any():
        line = Line("", Look(INK, "-", "o", len(run_looks(summary))), floats(sizes), memory)
        yield Panel(
            (line,), "batch size", "MiB", "peak memory", x_scale="log2", y_scale="from 0",
            x_ticks=sizes, labelled=False,
        )  # fmt: skip
