"""The metric against the budget, the batch size, or a parameter in which schedules differ."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.corrections import Floats
from lrbench.analysis.question import is_accuracy, metric_words
from lrbench.analysis.variants import groups_of
from lrbench.analysis.words import listed
from lrbench.report.plots.chart import (
    PLOTS,
    Chart,
    Line,
    Panel,
    by_schedule,
    metric_axis,
    run_looks,
)
from lrbench.report.style import INK, Look
from lrbench.report.table import half, records, value
from lrbench.schedules import Variants

MOST_PANELS = 3


@PLOTS.register("budgets", "the metric against the length of training")
def budgets_plot(summary: Summary) -> Chart | None:
    """Uses the smallest batch size if there are several."""
    rows = summary.ranking[summary.ranking["batch_size"] == summary.ranking["batch_size"].min()]
    if rows["budget"].nunique() < 2:
        return None
    label = "epochs (schedules are stretched to fit)"
    panel = _size_panel(summary, rows, "budget", "epochs", label)
    return Chart("training for longer", (panel,), note=panel.title, every=True)


@PLOTS.register("batch_sizes", "metric and peak memory against the batch size")
def batch_sizes_plot(summary: Summary) -> Chart | None:
    """Uses the largest budget; memory only if the device reports it."""
    rows = summary.ranking[summary.ranking["budget"] == summary.ranking["budget"].max()]
    if rows["batch_size"].nunique() < 2:
        return None
    first = _size_panel(summary, rows, "batch_size", "images", "batch size", labelled=False)
    panels = (first, *_memory_panels(summary, first.x_ticks))
    return Chart("larger batches", panels, (4.6 * len(panels) + 1.5, 4.8), first.title, every=True)


@PLOTS.register("variants", "the metric against the parameter in which schedules differ")
def variants_plot(summary: Summary) -> Chart | None:
    """A panel per parameter, with a line for each group of schedules that differ only in it."""
    groups = groups_of(summary.first.names) if summary.first else []
    parameters = list(dict.fromkeys(group.parameter for group in groups))[:MOST_PANELS]
    if not parameters:
        return None
    panels = tuple(
        _variants_panel(summary, [group for group in groups if group.parameter == parameter])
        for parameter in parameters
    )
    title, note = f"{metric_words(summary.metric)} by {listed(parameters)}", _note(summary)
    return Chart(title, panels, (5.5 * len(panels) + 1.5, 4.8), note, note, share=True)


def _note(summary: Summary) -> str:
    return f"mean and {100 * summary.question.confidence:g} % interval over the seeds"


def _panel(
    summary: Summary, lines: Iterable[Line], x_label: str, amounts: Iterable[float], **more: Any
) -> Panel:
    y_label, y_scale = metric_axis(summary.metric)
    ticks = tuple(sorted(set(amounts)))
    return Panel(tuple(lines), x_label, y_label, y_scale=y_scale, x_ticks=ticks, **more)


def _bars(
    summary: Summary, name: str, look: Look, x: Floats, rows: DataFrame, says: Sequence[str]
) -> Line:
    """Means with their intervals, and a text for each point."""
    y, low, high = (rows[key].to_numpy() for key in ("metric_mean", "ci_low", "ci_high"))
    if is_accuracy(summary.metric):
        low, high = low.clip(0, 1), high.clip(0, 1)
    texts = [
        f"{said}: {value(row['metric_mean'], summary.metric, half(row, 'ci'))}"
        for said, row in zip(says, records(rows), strict=True)
    ]
    return Line(name, look, x, y, "bars", low, high, texts)


def _size_panel(
    summary: Summary, rows: DataFrame, column: str, unit: str, label: str, **more: Any
) -> Panel:
    """One line per schedule, slightly offset so that their bars do not overlap."""
    count, lines = rows["schedule"].nunique(), []
    for place, (name, look, mine) in enumerate(by_schedule(summary, rows.sort_values(column))):
        x = mine[column].to_numpy() * (1 + 0.012 * (place - count / 2))
        says = [f"{name}, {size} {unit}" for size in mine[column]]
        lines.append(_bars(summary, name, look, x, mine, says))
    about = {"x_scale": "log2", "title": _note(summary), **more}
    return _panel(summary, lines, label, rows[column], **about)


def _memory_panels(summary: Summary, sizes: tuple[float, ...]) -> Iterator[Panel]:
    peaks = summary.trials["peak_mem_bytes"].astype("float64") / 2**20
    memory = np.array([peaks[summary.trials["batch_size"] == size].max() for size in sizes])
    if np.isfinite(memory).any():
        line = Line("", Look(INK, "-", "o"), np.array(sizes), memory)
        yield Panel(
            (line,), "batch size", "MiB", "peak memory", "log2", "from 0", sizes, labelled=False
        )


def _variants_panel(summary: Summary, groups: list[Variants]) -> Panel:
    assert summary.first is not None
    ranked = summary.first.part(summary.ranking).set_index("schedule", drop=False)
    looks, lines = run_looks(summary), []
    for group in groups:
        names = list(group.values)
        x, rows = np.array(group.amounts), ranked.loc[names]
        lines.append(_bars(summary, names[0], looks[names[0]], x, rows, names))
    unit = list(groups[0].values.values())[-1].lstrip("0123456789.e-")
    label = groups[0].parameter + (f", {unit}" if unit else "")
    amounts = [amount for group in groups for amount in group.amounts]
    return _panel(summary, lines, label, amounts, labelled=len(groups) > 1)
