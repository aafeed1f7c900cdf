"""The ranking drawn: every seed, the mean with its interval, and the difference to the best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import Standing, in_cell
from lrbench.report.plots.axes import run_looks
from lrbench.report.style import INK, TITLE, figure
from lrbench.report.text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME_WIDTH = 34


def final_plot(summary: Summary) -> Figure | None:
    """Left the metric, right the paired difference to the best; the letters are the groups."""
    if not summary.standings:
        return None
    standing = summary.standings[0]
    count = len(standing.names)
    fig = figure(9, 1.7 + 0.36 * count)
    panels = fig.subplots(
        1, min(count, 2), sharey=True, squeeze=False, width_ratios=(3, 2)[: min(count, 2)]
    )[0]
    _values(panels[0], summary, standing)
    names = [clean(name, NAME_WIDTH) for name in standing.names]
    panels[0].set_yticks(range(count), names, parse_math=False)
    panels[0].set_ylim(count - 0.4, -0.6)
    if count > 1:
        _differences(panels[1], summary, standing)
    _remarks(panels[-1], standing)
    footnote = f"intervals: {100 * standing.confidence:g} % each"
    if standing.groups:
        footnote += "; same letter: not told apart from the group's best, Holm over all pairs"
    fig.supxlabel(footnote, fontsize=8, color=INK)
    return fig


def _values(axes: Axes, summary: Summary, standing: Standing) -> None:
    scale = 100 if is_accuracy(standing.metric) else 1
    styles, rows = run_looks(summary), summary.ranking
    rows = rows[in_cell(rows, standing.budget, standing.batch_size)]
    columns = (rows["metric_mean"], rows["ci_low"], rows["ci_high"])
    for place, (mean, low, high) in enumerate(zip(*columns, strict=True)):
        colour = styles[standing.names[place]].colour
        seeds = scale * standing.values[:, place]
        below = np.full(len(seeds), place + 0.24)
        axes.plot(seeds, below, "o", color=colour, alpha=0.45, markersize=4.5, mew=0)
        if scale == 100:
            low, high = max(low, 0.0), min(high, 1.0)
        if math.isfinite(low):
            axes.plot([scale * low, scale * high], [place, place], color=colour, linewidth=2)
        axes.plot([scale * mean], [place], "D", color=colour, markersize=6, mec="white")
    axes.set_title("mean and interval; dots: each seed", **TITLE)
    unit = ", %" if scale == 100 else ""
    axes.set_xlabel(standing.metric.replace("_", " ") + unit)


def _differences(axes: Axes, summary: Summary, standing: Standing) -> None:
    scale = 100 if is_accuracy(standing.metric) else 1
    styles = run_looks(summary)
    axes.axvline(0, color=INK, linewidth=1)
    for place in range(1, len(standing.names)):
        colour = styles[standing.names[place]].colour
        mean = scale * standing.pairs.mean[place, 0]
        half = scale * standing.pairs.half[place, 0]
        if math.isfinite(half):
            axes.plot([mean - half, mean + half], [place, place], color=colour, linewidth=2)
        axes.plot([mean], [place], "D", color=colour, markersize=6, mec="white")
    axes.tick_params(left=False)
    axes.set_title("difference to the best, paired", **TITLE)
    unit = ", points" if scale == 100 else ""
    axes.set_xlabel(standing.metric.replace("_", " ") + unit)


def _remarks(axes: Axes, standing: Standing) -> None:
    """The letter of each schedule, or its failures, beside its row."""
    for place, letter in enumerate(standing.letters):
        failed = int(standing.failed[place])
        axes.text(
            1.03,
            place,
            f"{failed} failed" if failed else letter,
            transform=axes.get_yaxis_transform(),
            verticalalignment="center",
            fontsize=10,
            color=INK,
        )
