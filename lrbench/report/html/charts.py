"""The charts of a comparison's page: narrow enough for a phone, named by the page's legend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy
from lrbench.report import shown
from lrbench.report.html.svg import Spot, inline
from lrbench.report.plots.axes import run_looks
from lrbench.report.plots.cells import log2_ticks, metric_lines
from lrbench.report.plots.curves import (
    Curve,
    Points,
    draw_lost,
    draw_lrs,
    draw_means,
    fit_accuracies,
    mean_curves,
    plain_log_ticks,
    seeds_title,
    used_lrs,
)
from lrbench.report.plots.sensitivity import draw_sensitivity, grid_rows
from lrbench.report.style import Look, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

WIDTH, HEIGHT, LR_HEIGHT = 5.2, 3.0, 1.5
MOST_SPOTS = 60
OVER_EPOCHS = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "train_loss": "training loss",
}


@dataclass(frozen=True)
class Chart:
    """A picture, its title, and what is to be known to read it."""

    title: str
    note: str
    svg: Markup


def charts(summary: Summary) -> Iterator[Chart]:
    """Accuracy and losses over the epochs, each over the LRs, then what a wrong LR costs."""
    lrs = dict(used_lrs(summary))
    for column, title in OVER_EPOCHS.items():
        curves = mean_curves(summary, column)
        if curves:
            yield _over_epochs(summary, column, title, curves, lrs)
    chart = _sensitivity(summary)
    if chart is not None:
        yield chart
    yield from _over_cells(summary)


def _over_epochs(
    summary: Summary,
    column: str,
    title: str,
    curves: Mapping[str, Curve],
    lrs: Mapping[str, Points],
) -> Chart:
    styles = run_looks(summary)
    fig = figure(WIDTH, HEIGHT + LR_HEIGHT)
    upper, lower = fig.subplots(2, 1, sharex=True, height_ratios=(HEIGHT, LR_HEIGHT))
    draw_means(upper, curves, styles)
    if column.endswith("accuracy"):
        fit_accuracies(upper, curves)
    elif all((mean > 0).all() for _, mean, _ in curves.values()):
        upper.set_yscale("log")
        plain_log_ticks(upper)
    draw_lost(upper, summary, column)
    draw_lrs(lower, lrs, styles)
    upper.set_xlabel("")
    upper.set_ylabel(f"{title}, %" if column.endswith("accuracy") else title)
    spots = [*_mean_spots(upper, column, curves, styles), *_lr_spots(lower, lrs, styles)]
    note = seeds_title(summary) + ("; below: the learning rate" if lrs else "")
    about = f"{title} and learning rate over the epochs, one line a schedule"
    return Chart(f"{title} over the epochs", note, inline(fig, column, about, spots))


def _mean_spots(
    axes: Axes, column: str, curves: Mapping[str, Curve], styles: Mapping[str, Look]
) -> Iterator[Spot]:
    per_cent = column.endswith("accuracy")
    scale, digits, unit = (100, 2, " %") if per_cent else (1, 4, "")
    for name, (epochs, mean, sd) in curves.items():
        step = -(-len(epochs) // MOST_SPOTS)
        for x, y, spread in list(zip(epochs, mean, sd, strict=True))[::-step]:
            band = f" ± {scale * spread:.{digits}f}" if spread else ""
            text = f"{name}, epoch {x:g}: {scale * y:.{digits}f}{band}{unit}"
            yield Spot(axes, float(x), float(y), text, styles[name].place)


def _lr_spots(axes: Axes, lrs: Mapping[str, Points], styles: Mapping[str, Look]) -> Iterator[Spot]:
    for name, points in lrs.items():
        step = -(-len(points) // MOST_SPOTS)
        for epoch, lr in points[::step]:
            text = f"{name}, epoch {epoch:.3g}: LR {lr:.3g}"
            yield Spot(axes, epoch, lr, text, styles[name].place)


def _sensitivity(summary: Summary) -> Chart | None:
    rows, column = grid_rows(summary)
    if not len(rows):
        return None
    styles = run_looks(summary)
    fig = figure(WIDTH, HEIGHT + LR_HEIGHT)
    axes = fig.subplots()
    draw_sensitivity(axes, summary, rows, column)
    accuracy = column == "val_accuracy_mean"
    what = "validation accuracy" if accuracy else "validation loss"
    known = rows[rows[column].notna()]
    spots = [
        Spot(
            axes, lr, value,
            f"{name}, LR {lr:.3g}: " + (f"{100 * value:.2f} %" if accuracy else f"{value:.4f}"),
            styles[name].place,
        )
        for name, lr, value in zip(known["schedule"], known["lr"], known[column], strict=True)
    ]  # fmt: skip
    note = "after tuning; the chosen LR is ringed, a cross below is an LR at which all diverged"
    about = f"{what} against the learning rate, one line a schedule"
    return Chart(f"{what} against the learning rate", note, inline(fig, "lrs", about, spots))


def _over_cells(summary: Summary) -> Iterator[Chart]:
    """The metric against the budget, and against the batch size, where a run has several."""
    ranking = summary.ranking
    for column, other, best, title in (
        ("budget", "batch_size", "min", "training for longer"),
        ("batch_size", "budget", "max", "the batch size"),
    ):
        rows = ranking[ranking[other] == ranking[other].agg(best)]
        values = sorted(rows[column].unique().tolist())
        if len(values) > 1:
            yield _against(summary, rows, column, values, title)


def _against(
    summary: Summary, rows: DataFrame, column: str, values: list[int], title: str
) -> Chart:
    styles = run_looks(summary)
    fig = figure(WIDTH, HEIGHT + LR_HEIGHT)
    axes = fig.subplots()
    log2_ticks(axes, values)
    metric_lines(axes, summary, rows, column)
    axes.set_xlabel("epochs" if column == "budget" else "batch size")
    scale = 100 if is_accuracy(summary.metric) else 1
    spots = [
        Spot(
            axes, row[column], scale * row["metric_mean"],
            f"{row['schedule']}, {row[column]} {'epochs' if column == 'budget' else 'images'}: "
            + shown.value(row["metric_mean"], shown.half(row, "ci"), summary.metric),
            styles[row["schedule"]].place,
        )
        for row in shown.records(rows)
    ]  # fmt: skip
    what = summary.metric.replace("_", " ")
    note = f"{what}, mean and {100 * summary.question.confidence:g} % interval over the seeds"
    return Chart(f"What comes of {title}", note, inline(fig, f"over-{column}", note, spots))
