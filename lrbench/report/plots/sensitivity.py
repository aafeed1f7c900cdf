"""What a wrong learning rate costs: validation accuracy, or loss, against the LR."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lrbench.analysis import Summary
from lrbench.report.plots.axes import EndLabel, accuracy_axis, fixed_ticks, label_ends, run_looks
from lrbench.report.style import TITLE, Look, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame


def sensitivity_plot(summary: Summary) -> Figure | None:
    """One line a schedule over its LR grid, log axis; the chosen LR is ringed, an LR at which
    every trial diverged is a cross at the bottom."""
    rows, column = grid_rows(summary)
    if not len(rows):
        return None
    fig = figure(8, 4.8)
    axes = fig.subplots()
    axes.set_title("after tuning; the chosen LR is ringed" if summary.chosen else "", **TITLE)
    label_ends(axes, draw_sensitivity(axes, summary, rows, column))
    return fig


def grid_rows(summary: Summary) -> tuple[DataFrame, str]:
    """The LR grids of the largest budget, and the column to draw: accuracies where there are any.
    No rows where no schedule was trained at two learning rates."""
    rows = summary.sensitivity
    rows = rows[rows["batch_size"] == rows["batch_size"].min()]
    rows = rows[rows["budget"] == rows["budget"].max()]
    column = "val_loss_mean" if rows["val_accuracy_mean"].isna().all() else "val_accuracy_mean"
    known = rows[rows[column].notna()]
    if not len(known) or known.groupby("schedule")["lr"].nunique().max() < 2:
        return rows[:0], column
    return rows, column


def draw_sensitivity(axes: Axes, summary: Summary, rows: DataFrame, column: str) -> list[EndLabel]:
    """Lines over a logarithmic axis of learning rates, rings and crosses."""
    known = rows[rows[column].notna()]
    axes.set_xscale("log")
    styles, ends = run_looks(summary), []
    for name, mine in known.groupby("schedule", sort=False):
        look = styles[str(name)]
        x, y = mine["lr"].to_numpy(), mine[column].to_numpy()
        axes.plot(
            x, y, color=look.colour, linestyle=look.dash, marker=look.marker, linewidth=1.7,
            markersize=5.5, markeredgecolor="white", markeredgewidth=0.6, gid=look.gid,
        )  # fmt: skip
        ring = x == summary.chosen.get(str(name))
        axes.plot(
            x[ring], y[ring], "o", mfc="none", mec=look.colour, markersize=11, mew=1.3, gid=look.gid
        )
        ends.append(EndLabel(str(name), x[-1], y[-1], look))
    if column == "val_accuracy_mean":
        accuracy_axis(axes, known[column].min(), known[column].max())
    else:
        axes.set_ylabel("validation loss")
    _crosses(axes, rows[rows[column].isna()], styles)
    lrs = sorted(set(rows["lr"].tolist()))
    fixed_ticks(axes.xaxis, lrs[:: max(1, len(lrs) // 10)], ".3g")
    axes.set_xlabel("learning rate")
    return ends


def _crosses(axes: Axes, rows: DataFrame, styles: Mapping[str, Look]) -> None:
    """Schedules that diverged at the same LR stand beside each other."""
    beside: Counter[float] = Counter()
    for lr, name in zip(rows["lr"].tolist(), rows["schedule"].tolist(), strict=True):
        axes.plot(
            [lr * 1.04 ** beside[lr]],
            [0.02],
            "X",
            color=styles[name].colour,
            markersize=7,
            markeredgecolor="white",
            transform=axes.get_xaxis_transform(),
            scaley=False,
            gid=styles[name].gid,
        )
        beside[lr] += 1
