"""A plot as plain data: what to draw, not how. `draw` turns it into a figure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.corrections import Floats
from lrbench.analysis.question import is_accuracy, metric_words
from lrbench.registry import Registry
from lrbench.report.style import Look, looks

Kind = Literal[
    "line", "plain", "curve", "thin", "bars", "dots", "seeds", "interval", "mean", "lost", "end",
    "cut", "ring", "circle", "cross", "top cross", "strip", "probe", "upright", "span", "cells",
]  # fmt: skip
Scale = Literal["linear", "epochs", "from 0", "log", "log2", "accuracy"]


@dataclass(frozen=True, eq=False)
class Line:
    """Points drawn the same way. `low` and `high` bound a band or bars; `texts` appear when the
    mouse is over a point. For "cells", `low` is the shade, 0..1, and `high` the number written in
    the cell. `look.place` is the series that a page toggles."""

    name: str
    look: Look
    x: Floats
    y: Floats
    kind: Kind = "line"
    low: Floats | None = None
    high: Floats | None = None
    texts: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes. `rows` are names down the vertical axis, row i at height i, with `remarks`
    to the right. `labelled` writes the name of each line at its end, `legend` lists the names
    below. The scale "accuracy" shows fractions as percentages."""

    lines: tuple[Line, ...]
    x_label: str
    y_label: str = ""
    title: str = ""
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    x_ticks: tuple[float, ...] = ()
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    labelled: bool = True
    legend: bool = False
    rows: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Chart:
    """Panels side by side, or one above the other if `stacked` or on a page. `size` is for a
    separate picture, in inches; `ratios` are the relative sizes of the panels. With `share`, panels
    share the vertical axis, or the horizontal axis if stacked. With `every`, the chart shows all
    rankings, otherwise the first."""

    title: str
    panels: tuple[Panel, ...]
    size: tuple[float, float] = (8, 4.8)
    note: str = ""
    footnote: str = ""
    ratios: tuple[float, ...] | None = None
    share: bool = False
    stacked: bool = False
    every: bool = False


Plot = Callable[[Summary], Chart | None]
"""Makes a chart of a comparison; None if there is nothing to draw. Registered with `page=False`, it
is left out of the page."""

PLOTS: Registry[Plot] = Registry("plot", "lrbench.report.plots")


def run_looks(summary: Summary) -> dict[str, Look]:
    """The look of each schedule of the run, in the order they were named."""
    return looks([*summary.question.schedules, *summary.trials["schedule"].tolist()])


def by_schedule(summary: Summary, rows: DataFrame) -> Iterator[tuple[str, Look, DataFrame]]:
    """Each schedule in these rows, with its look and its rows."""
    known = run_looks(summary)
    for name, mine in rows.groupby("schedule", sort=False):
        yield str(name), known[str(name)], mine


def metric_axis(metric: str, unit: str = "%") -> tuple[str, Scale]:
    """Axis label and scale for the metric.

    >>> metric_axis("test_accuracy"), metric_axis("val_loss")
    (('test accuracy, %', 'accuracy'), ('validation loss', 'linear'))
    """
    words = metric_words(metric).replace("val ", "validation ")
    return (f"{words}, {unit}", "accuracy") if is_accuracy(metric) else (words, "linear")


def floats(values: Sequence[float] | object) -> Floats:
    return np.array(values, dtype=float)
