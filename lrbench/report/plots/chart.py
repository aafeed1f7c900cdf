"""A picture as plain data: what is to be drawn, apart from how. `draw` makes a figure of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.corrections import Floats
from lrbench.analysis.standing import in_cell
from lrbench.registry import Registry
from lrbench.report.style import Look, looks

Kind = Literal[
    "line", "plain", "curve", "thin", "bars", "dots", "seeds", "interval", "mean", "lost", "end",
    "cut", "ring", "circle", "cross", "top cross", "strip", "probe", "upright", "span", "cells",
]  # fmt: skip


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
    to the right; `labelled` writes the name of each line at its end, `legend` lists them below."""

    lines: tuple[Line, ...]
    x_label: str
    y_label: str = ""
    title: str = ""
    x_scale: Literal["linear", "epochs", "log", "log2"] = "linear"
    y_scale: Literal["linear", "from 0", "log", "accuracy"] = "linear"
    x_ticks: tuple[float, ...] = ()
    y_ticks: tuple[float, ...] = ()
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    labelled: bool = True
    legend: bool = False
    rows: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    zero_line: bool = False


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


def finals(summary: Summary, frame: DataFrame) -> DataFrame:
    """The rows of the final trials of the first ranking, at the LR that was chosen."""
    rows = frame[frame["stage"] == "final"]
    if summary.first is None:
        return rows
    rows = rows[in_cell(rows, summary.first.budget, summary.first.batch_size)]
    chosen = rows["schedule"].map(summary.chosen)
    kept: DataFrame = rows[chosen.isna() | (rows["lr"] == chosen)]
    return kept


def floats(values: Sequence[float] | object) -> Floats:
    return np.array(values, dtype=float)
