"""Learning rate, loss and accuracy over the epochs: means of the seeds, and a band around them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrbench.analysis import Summary
from lrbench.analysis.pairs import Floats
from lrbench.report.plots.axes import EndLabel, accuracy_axis, finals, label_ends, run_looks
from lrbench.report.style import TITLE, Look, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

MOST_MARKERS = 12
MOST_POINTS = 1000
Curve = tuple[Floats, Floats, Floats]
Points = list[tuple[float, float]]


def lr_plot(summary: Summary) -> Figure | None:
    """The LR that each schedule used, against epochs."""
    points = dict(used_lrs(summary))
    if not points:
        return None
    fig = figure(8, 4.2)
    axes = fig.subplots()
    label_ends(axes, draw_lrs(axes, points, run_looks(summary)))
    return fig


def draw_lrs(
    axes: Axes, points: Mapping[str, Points], styles: Mapping[str, Look]
) -> list[EndLabel]:
    """LR against epochs, a mark before each cut of a schedule that watches the training."""
    ends = []
    for name, curve in points.items():
        x, y = (np.array(part) for part in zip(*curve, strict=True))
        look = styles[name]
        own: dict[str, Any] = {"color": look.colour, "clip_on": False, "gid": look.gid}
        axes.plot(x, y, linestyle=look.dash, linewidth=1.6, **own)
        ends.append(EndLabel(name, x[-1], y[-1], look))
        cuts = cuts_of(name, x, y)
        if len(cuts):  # the empty line would claim the figure's corner when room is shared out
            axes.plot(x[cuts], y[cuts], "v", markersize=6, **own)
    axes.set_xlabel("epoch")
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, math.ceil(max(end.x for end in ends)))
    whole_epochs(axes)
    return ends


def accuracy_plot(summary: Summary) -> Figure | None:
    """Validation accuracy over the epochs."""
    curves = mean_curves(summary, "val_accuracy")
    if not curves:
        return None
    fig = figure(8, 4.8)
    axes = fig.subplots()
    ends = draw_means(axes, curves, run_looks(summary))
    fit_accuracies(axes, curves)
    draw_lost(axes, summary, "val_accuracy")
    axes.set_title(seeds_title(summary), **TITLE)
    label_ends(axes, ends)
    return fig


def fit_accuracies(axes: Axes, curves: Mapping[str, Curve]) -> None:
    """An axis of accuracies that holds the means and their bands."""
    low = min(float((mean - sd).min()) for _, mean, sd in curves.values())
    high = max(float((mean + sd).max()) for _, mean, sd in curves.values())
    accuracy_axis(axes, max(low, 0.0), min(high, 1.0))


def loss_plot(summary: Summary) -> Figure | None:
    """Training and validation loss over the epochs, side by side on one scale."""
    panels = {"training loss": "train_loss", "validation loss": "val_loss"}
    drawn = {title: mean_curves(summary, column) for title, column in panels.items()}
    drawn = {title: curves for title, curves in drawn.items() if curves}
    if not drawn:
        return None
    fig = figure(4.2 * len(drawn) + 2, 4.8)
    row = fig.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    positive = all((mean > 0).all() for curves in drawn.values() for _, mean, _ in curves.values())
    for axes, (title, curves) in zip(row, drawn.items(), strict=True):
        if positive:
            axes.set_yscale("log")
        ends = draw_means(axes, curves, run_looks(summary))
        axes.set_title(title, **TITLE)
    if positive:
        plain_log_ticks(row[0])
    label_ends(row[-1], ends)
    return fig


def cuts_of(name: str, epochs: Floats, lrs: Floats) -> NDArray[np.int64]:
    """Where a schedule that watches the training cut its LR: the points before each cut."""
    from lrbench.errors import LrbenchError
    from lrbench.schedules import parse

    try:
        watches = parse(name).adaptive
    except LrbenchError:
        watches = False
    between_epochs = np.floor(epochs[:-1]) < np.floor(epochs[1:])
    return np.flatnonzero(watches & between_epochs & (lrs[1:] < lrs[:-1]))


def used_lrs(summary: Summary) -> Iterator[tuple[str, Points]]:
    """(epoch, LR) points of each schedule, from its longest final trial."""
    rows = finals(summary, summary.epochs)
    for name, mine in rows.groupby("schedule", sort=False):
        longest = mine.groupby("trial", sort=False)["epoch"].max().idxmax()
        trial = mine[mine["trial"] == longest]
        yield str(name), _computed(str(name), trial) or _recorded(trial)


def _computed(name: str, trial: DataFrame) -> Points:
    """Every step's LR, from the schedule itself; none where what was recorded is not that: a
    schedule that watches the loss, a plug-in that is not here, parameter groups."""
    from lrbench.errors import LrbenchError
    from lrbench.schedules import parse

    first = trial.iloc[0]
    per_epoch = int(first["step"]) // int(first["epoch"])
    steps = per_epoch * int(first["budget"])
    try:
        schedule = parse(name)
        if schedule.adaptive:
            return []
        table = schedule.table(lr=float(first["lr"]), steps=steps, steps_per_epoch=per_epoch)
    except LrbenchError:
        return []
    starts = [table[(epoch - 1) * per_epoch] for epoch in trial["epoch"].tolist()]
    if not np.allclose(starts, trial["lr_first"], rtol=1e-6, atol=0):
        return []
    stride = max(1, steps // MOST_POINTS)
    kept = sorted({*range(0, steps, stride), steps - 1})
    return [(step / per_epoch, table[step]) for step in kept]


def _recorded(trial: DataFrame) -> Points:
    """The LR of each epoch's first and last step."""
    points = []
    per_epoch = trial["step"].to_numpy() / trial["epoch"].to_numpy()
    columns = (trial["epoch"], trial["lr_first"], trial["lr_last"], per_epoch)
    for epoch, first, last, steps in zip(*columns, strict=True):
        points += [(epoch - 1.0, float(first)), (epoch - 1 / steps, float(last))]
    return points


def mean_curves(summary: Summary, column: str) -> dict[str, Curve]:
    """(epochs, mean, standard deviation) of each schedule, over the finals that ended well."""
    rows = finals(summary, summary.epochs)
    done = summary.trials["trial"][summary.trials["status"] == "done"]
    rows = rows[rows["trial"].isin(done) & rows[column].notna()]
    return {
        str(name): _mean_curve(mine, column) for name, mine in rows.groupby("schedule", sort=False)
    }


def _mean_curve(rows: DataFrame, column: str) -> Curve:
    by_epoch = rows.groupby("epoch")[column]
    mean = by_epoch.mean()
    sd = by_epoch.std(ddof=1).fillna(0.0)
    epochs: Floats = np.array(mean.index, dtype=float)
    return epochs, np.array(mean, dtype=float), np.array(sd, dtype=float)


def draw_means(
    axes: Axes, curves: Mapping[str, Curve], styles: Mapping[str, Look]
) -> list[EndLabel]:
    """Means as lines, ± 1 standard deviation as bands."""
    ends = []
    for name, (epochs, mean, sd) in curves.items():
        look = styles[name]
        axes.plot(
            epochs,
            mean,
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.7,
            marker=look.marker,
            markersize=5,
            markevery=max(1, len(epochs) // MOST_MARKERS),
            markeredgecolor="white",
            markeredgewidth=0.6,
            clip_on=False,
            zorder=3,
            gid=look.gid,
        )
        axes.fill_between(
            epochs, mean - sd, mean + sd, color=look.colour, alpha=0.1, linewidth=0, gid=look.gid
        )
        ends.append(EndLabel(name, epochs[-1], mean[-1], look))
    last = max(end.x for end in ends)
    axes.set_xlim(min(1.0, last - 0.5) if last > 1 else 0.5, last)
    axes.set_xlabel("epoch")
    whole_epochs(axes)
    return ends


def draw_lost(axes: Axes, summary: Summary, column: str) -> None:
    """Finals that diverged, thin and dotted, a cross where they end."""
    rows = finals(summary, summary.epochs)
    lost = summary.trials["trial"][summary.trials["status"].isin(["diverged", "failed"])]
    styles = run_looks(summary)
    for _, mine in rows[rows["trial"].isin(lost) & rows[column].notna()].groupby("trial"):
        look = styles[str(mine["schedule"].iloc[0])]
        x, y = mine["epoch"].to_numpy(), mine[column].to_numpy()
        own: dict[str, Any] = {"color": look.colour, "gid": look.gid}
        axes.plot(x, y, ":", linewidth=1, scalex=False, scaley=False, **own)
        axes.plot(x[-1:], y[-1:], "x", scalex=False, scaley=False, **own)


def seeds_title(summary: Summary) -> str:
    if not summary.standings:
        return ""
    count = int(np.isfinite(summary.standings[0].values).sum(axis=0).max(initial=0))
    return f"mean of {count} seeds, band: ± 1 standard deviation" if count > 1 else "one seed"


def whole_epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def plain_log_ticks(axes: Axes) -> None:
    """0.1, 0.2, 0.5, 1 … instead of powers of ten; even steps where fewer than three would show."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_ylim()
    locator = LogLocator(subs=(1.0, 2.0, 5.0))
    shown = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
    axes.yaxis.set_major_locator(
        locator if len(shown) >= 3 else MaxNLocator(5, steps=[1, 2, 5, 10])
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
