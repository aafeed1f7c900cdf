"""A picture as plain data: what is to be drawn, apart from how. `draw` makes a figure of it."""

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
    """Points that are drawn alike. `low` and `high` are a band, or the ends of bars; `texts` are
    what the points say when pointed at. Of "cells" `low` is the shade, 0..1, and `high` the number
    that is written in it. `look.place` is the series that it is switched with."""

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
    to the right; `labelled` writes the name of each line at its end, `legend` lists them below. On
    the scale "accuracy" fractions are shown as per cent."""

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
    """Panels next to each other, or below each other if they are `stacked`, as all are on a page.
    `size` is that of a picture of its own, in inches, `ratios` are the sizes of its panels, and
    with `share` those have one vertical axis, stacked ones one horizontal axis. With `every` it
    shows all rankings, otherwise the first."""

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
"""What to draw of a comparison, None where there is nothing. Registered with `page=False` it is
left out of the page."""

PLOTS: Registry[Plot] = Registry("plot", "lrbench.report.plots")


def run_looks(summary: Summary) -> dict[str, Look]:
    """The look of each schedule of the run, by the order in which they were named."""
    return looks([*summary.question.schedules, *summary.trials["schedule"].tolist()])


def by_schedule(summary: Summary, rows: DataFrame) -> Iterator[tuple[str, Look, DataFrame]]:
    """Each schedule of these rows, with its look and its own rows."""
    known = run_looks(summary)
    for name, mine in rows.groupby("schedule", sort=False):
        yield str(name), known[str(name)], mine


def metric_axis(metric: str, unit: str = "%") -> tuple[str, Scale]:
    """Label and scale of an axis for the metric.

    >>> metric_axis("test_accuracy"), metric_axis("val_loss")
    (('test accuracy, %', 'accuracy'), ('validation loss', 'linear'))
    """
    words = metric_words(metric).replace("val ", "validation ")
    return (f"{words}, {unit}", "accuracy") if is_accuracy(metric) else (words, "linear")


def floats(values: Sequence[float] | object) -> Floats:
    return np.array(values, dtype=float)
