"""What several plots share: names at the ends of lines, and an axis for accuracies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrbench.analysis import Summary
from lrbench.analysis.standing import in_cell
from lrbench.report.style import Look, looks
from lrbench.report.text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from pandas import DataFrame

LABEL_WIDTH = 30
LABEL_POINTS = 9
LEAST_ERROR = 5e-4
ACCURACY_TICKS = (0, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)


@dataclass(frozen=True)
class EndLabel:
    """A name beside the last point of its line, in data coordinates."""

    name: str
    x: float
    y: float
    look: Look


def run_looks(summary: Summary) -> dict[str, Look]:
    """The look of each schedule of the run, by the order in which they were named."""
    return looks([*summary.question.schedules, *summary.trials["schedule"].tolist()])


def finals(summary: Summary, frame: DataFrame) -> DataFrame:
    """The rows of the final trials of the first ranking, at the LR that was chosen."""
    rows = frame[frame["stage"] == "final"]
    if not summary.standings:
        return rows
    first = summary.standings[0]
    rows = rows[in_cell(rows, first.budget, first.batch_size)]
    chosen = rows["schedule"].map(summary.chosen)
    kept: DataFrame = rows[chosen.isna() | (rows["lr"] == chosen)]
    return kept


def label_ends(axes: Axes, labels: Sequence[EndLabel]) -> None:
    """Write each name to the right of the axes, at the height of its line's end as far as the
    names leave room, with a thin line from one to the other. Call it when the limits are set."""
    axes.autoscale_view()
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [to_axes.transform((label.x, label.y)) for label in labels]
    figure = axes.get_figure(root=True)
    assert figure is not None
    height = figure.get_figheight() * 72 * axes.get_position().height
    gap = min(1.35 * LABEL_POINTS / height, 1 / max(1, len(labels) - 1))
    heights = spread([float(end[1]) for end in ends], gap)
    for label, end, place in zip(labels, ends, heights, strict=True):
        axes.plot(
            [end[0], 1.03],
            [end[1], place],
            transform=axes.transAxes,
            color=label.look.colour,
            linewidth=0.6,
            alpha=0.7,
            clip_on=False,
            scalex=False,
            scaley=False,
        )
        axes.text(
            1.04,
            place,
            clean(label.name, LABEL_WIDTH),
            transform=axes.transAxes,
            color=label.look.colour,
            fontsize=LABEL_POINTS,
            verticalalignment="center",
            parse_math=False,
        )


def fixed_ticks(axis: Axis, values: Sequence[float], form: str) -> None:
    """Ticks at these values alone, written in this form."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(values))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:{form}}"))


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The nearest places, in the same order, that are at least `gap` apart, within 0..1 where
    they fit: places too near to each other become a block around their mean.

    >>> spread([0.5, 0.5, 0.9], 0.2)
    [0.4, 0.6, 0.9]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[tuple[float, int]] = []
    for i in order:
        mean, count = places[i], 1
        while blocks and _bounds(*blocks[-1], gap)[1] + gap > _bounds(mean, count, gap)[0]:
            before, others = blocks.pop()
            count += others
            mean = (before * others + mean * (count - others)) / count
            low, high = _bounds(mean, count, gap)
            mean += max(0.0, -low) - max(0.0, high - 1)
        blocks.append((mean, count))
    spots = [_bounds(mean, count, gap)[0] + k * gap for mean, count in blocks for k in range(count)]
    found = dict(zip(order, spots, strict=True))
    return [round(found[i], 6) for i in range(len(places))]


def _bounds(mean: float, count: int, gap: float) -> tuple[float, float]:
    half = (count - 1) / 2 * gap
    return mean - half, mean + half


def accuracy_axis(axes: Any, low: float, high: float) -> None:
    """A vertical axis of accuracies in per cent. Where some lie above 80 %, its error is
    logarithmic: 98 and 99 % are then as far apart as 80 and 90 %."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_ylabel(axes.get_ylabel() or "validation accuracy, %")
    per_cent = FuncFormatter(lambda value, _: f"{100 * value:.6g}")
    axes.yaxis.set_major_formatter(per_cent)
    if high < 0.8:
        return
    axes.set_yscale("function", functions=(nines, accuracy_of))
    bottom, top = nines(np.array([low, high]))
    room = 0.05 * max(top - bottom, 0.05)
    axes.set_ylim(*accuracy_of(np.array([bottom - room, top + room])))
    axes.yaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(per_cent)


def _ticks(low: float, high: float) -> list[float]:
    """Coarse ones where the range is wide, evenly spaced ones where it is narrow."""
    inside = [tick for tick in ACCURACY_TICKS if low <= tick <= high]
    if len(inside) >= 4:
        return inside
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-4)))
    step = step / 2 if (high - low) / step < 4 else step
    first = math.ceil(low / step)
    return [round(k * step, 6) for k in range(first, math.floor(high / step) + 1)]


def nines(accuracy: Any) -> NDArray[np.float64]:
    """-log10 of the error, which is at least LEAST_ERROR: 0.9 is 1, 0.99 is 2."""
    error = np.maximum(1 - np.asarray(accuracy, dtype=float), LEAST_ERROR)
    return np.asarray(-np.log10(error))


def accuracy_of(value: Any) -> NDArray[np.float64]:
    return np.asarray(1 - 10.0 ** -np.asarray(value, dtype=float))
