"""Several rankings of one run against what tells them apart: the budget, or the batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.pairs import Floats
from lrbench.analysis.question import is_accuracy
from lrbench.report.plots.axes import EndLabel, fixed_ticks, label_ends, run_looks
from lrbench.report.style import INK, TITLE, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame


def budgets_plot(summary: Summary) -> Figure | None:
    """The metric of each schedule against the length of training; the smallest batch's, where
    there are several batch sizes."""
    rows = summary.ranking[summary.ranking["batch_size"] == summary.ranking["batch_size"].min()]
    if rows["budget"].nunique() < 2:
        return None
    fig = figure(8, 4.8)
    axes = fig.subplots()
    log2_ticks(axes, sorted(rows["budget"].unique().tolist()))
    ends = metric_lines(axes, summary, rows, "budget")
    axes.set_xlabel("epochs; the schedules are stretched to them")
    axes.set_title(_title(summary), **TITLE)
    label_ends(axes, ends)
    return fig


def batch_sizes_plot(summary: Summary) -> Figure | None:
    """The metric of each schedule against the batch size, its tuned LR beside the square-root and
    the linear rule, and peak memory where the device reports it; of the largest budget."""
    rows = summary.ranking[summary.ranking["budget"] == summary.ranking["budget"].max()]
    sizes = sorted(rows["batch_size"].unique().tolist())
    if len(sizes) < 2:
        return None
    memory = _peak_memory_mib(summary, sizes)
    count = 3 if np.isfinite(memory).any() else 2
    fig = figure(4.6 * count + 1.5, 4.8)
    panels = fig.subplots(1, count)
    for axes in panels:
        log2_ticks(axes, sizes)
        axes.set_xlabel("batch size")
    metric_lines(panels[0], summary, rows, "batch_size")
    panels[0].set_title(_title(summary), **TITLE)
    if count == 3:
        panels[2].plot(sizes, memory, "o-", color=INK)
        panels[2].set_title("peak memory, MiB", **TITLE)
        panels[2].set_ylim(bottom=0)
    label_ends(panels[1], _lr_lines(panels[1], summary, rows, sizes))
    return fig


def metric_lines(axes: Axes, summary: Summary, rows: DataFrame, column: str) -> list[EndLabel]:
    """Means with their intervals against a column of the ranking."""
    scale, unit = (100, ", %") if is_accuracy(summary.metric) else (1, "")
    styles, ends = run_looks(summary), []
    names = list(rows["schedule"].unique())
    for place, (name, mine) in enumerate(rows.sort_values(column).groupby("schedule", sort=False)):
        look = styles[str(name)]
        x = mine[column].to_numpy() * (1 + 0.012 * (place - len(names) / 2))
        mean = scale * mine["metric_mean"].to_numpy()
        half = scale * (mine["ci_high"] - mine["ci_low"]).to_numpy() / 2
        axes.errorbar(
            x, mean, yerr=np.nan_to_num(half), color=look.colour, linestyle=look.dash,
            marker=look.marker, markersize=5, linewidth=1.6, capsize=2, gid=look.gid,
        )  # fmt: skip
        ends.append(EndLabel(str(name), x[-1], mean[-1], look))
    axes.set_ylabel(summary.metric.replace("_", " ") + unit)
    return ends


def _lr_lines(
    axes: Axes, summary: Summary, rows: DataFrame, sizes: Sequence[int]
) -> list[EndLabel]:
    styles, ends = run_looks(summary), []
    axes.set_yscale("log")
    for name, mine in rows.sort_values("batch_size").groupby("schedule", sort=False):
        look = styles[str(name)]
        x, y = mine["batch_size"].to_numpy(), mine["lr"].to_numpy()
        axes.plot(x, y, color=look.colour, linestyle=look.dash, marker=look.marker, markersize=5)
        ends.append(EndLabel(str(name), x[-1], y[-1], look))
    first = rows[rows["batch_size"] == sizes[0]]["lr"].median()
    ratio = np.array(sizes) / sizes[0]
    for power, dash, name in ((0.5, "--", "square root"), (1.0, ":", "linear")):
        axes.plot(sizes, first * ratio**power, dash, color=INK, linewidth=1, label=f"{name} rule")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    fixed_ticks(axes.yaxis, sorted(set(rows["lr"].tolist())), ".3g")
    axes.set_title("tuned LR", **TITLE)
    return ends


def _peak_memory_mib(summary: Summary, sizes: Sequence[int]) -> Floats:
    peaks = summary.trials["peak_mem_bytes"].astype("float64") / 2**20
    return np.array([peaks[summary.trials["batch_size"] == size].max() for size in sizes])


def log2_ticks(axes: Axes, values: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    fixed_ticks(axes.xaxis, values, "g")


def _title(summary: Summary) -> str:
    level = f"{100 * summary.question.confidence:g} %"
    return f"mean and {level} interval over the seeds"
