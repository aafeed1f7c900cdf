"""Draws charts with matplotlib, for image files and for the page."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator
from scipy.optimize import isotonic_regression

from lrbench.analysis.corrections import Floats
from lrbench.report.plots.chart import Chart, Line, Panel
from lrbench.report.style import INK, figure, polish
from lrbench.report.text import clean

PAGE_WIDTH, PAGE_HEIGHT = 5.2, 4.8  # of a chart on the page: narrow enough for a phone
LABEL_WIDTH, LABEL_POINTS, NAME_WIDTH = 30, 9, 34
MOST_MARKERS = 12
MANY = 3e4  # ratio of a log axis's ends beyond which only powers of ten are labelled
LEGEND: dict[str, Any] = {"ncols": 3, "fontsize": 8.5, "frameon": False}

# What each kind of line overrides in its look.
KINDS: dict[str, dict[str, Any]] = {
    "line": {"linewidth": 1.7, "markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.6,
             "clip_on": False, "zorder": 3},
    "bars": {"linewidth": 1.6, "markersize": 5, "capsize": 2, "clip_on": False},
    "plain": {"marker": "", "linewidth": 1.6, "clip_on": False, "drawstyle": "steps-post"},
    "curve": {"linewidth": 1.5, "alpha": 0.9},
    "thin": {"linewidth": 1},
    "dots": {"linestyle": "", "marker": ".", "markersize": 4, "alpha": 0.3, "markeredgewidth": 0},
    "seeds": {"linestyle": "", "marker": "o", "markersize": 4.5, "alpha": 0.45,
              "markeredgewidth": 0},
    "lost": {"linestyle": ":", "marker": "", "linewidth": 1, "scalex": False, "scaley": False},
    "end": {"linestyle": "", "marker": "x", "scalex": False, "scaley": False},
    "cut": {"linestyle": "", "marker": "v", "markersize": 6, "clip_on": False},
    "ring": {"linestyle": "", "marker": "o", "markerfacecolor": "none", "markersize": 11,
             "markeredgewidth": 1.3},
    "circle": {"linestyle": "", "marker": "o", "markerfacecolor": "none", "markersize": 30},
    "cross": {"linestyle": "", "marker": "X", "markersize": 7, "markeredgecolor": "white"},
    "top cross": {"linestyle": "", "marker": "x", "markeredgewidth": 1.8, "clip_on": False},
    "interval": {"linestyle": "-", "marker": "", "linewidth": 2},
    "mean": {"linestyle": "", "marker": "D", "markersize": 6, "markeredgecolor": "white"},
    "strip": {"linewidth": 8, "alpha": 0.35, "solid_capstyle": "butt"},
    "probe": {"marker": "D", "markersize": 5, "linewidth": 1},
}  # fmt: skip
AT_EDGE = {"cross": 0.02, "top cross": 1.0, "strip": 0.02}  # of the height of the axes


def figure_of(chart: Chart, *, page: bool = False, heading: str = "") -> Figure:
    """The chart as a figure, with a heading and a name at the end of each line; on a page, narrow
    and unlabelled, because the page's legend names the lines."""
    count = len(chart.panels)
    size = (PAGE_WIDTH, PAGE_HEIGHT + 0.8 * (count - 1)) if page else chart.size
    fig = figure(*size)
    if chart.stacked or page:
        ratios = chart.ratios if chart.stacked else None
        shape: dict[str, Any] = {"nrows": count, "height_ratios": ratios}
    else:
        shape = {"ncols": count, "width_ratios": chart.ratios, "sharey": chart.share}
    row = fig.subplots(squeeze=False, sharex=chart.stacked and chart.share, **shape).flatten()
    pairs = list(zip(row, chart.panels, strict=True))
    for axes, panel in pairs:
        draw_panel(axes, panel)
    if chart.share and (chart.stacked or not page):
        for axes in row:
            axes.label_outer(remove_inner_ticks=not chart.stacked)
    if page:
        if count == 1:
            row[0].set_title("", loc="left")
        return fig
    for axes, panel in pairs:
        if panel.labelled:
            _label_ends(axes, panel)
    if parts := _parts(*(axes for axes, panel in pairs if panel.legend)):
        fig.legend(parts.values(), parts.keys(), loc="outside lower center", **LEGEND)
    if heading:
        fig.suptitle(heading, x=0.01, ha="left", fontsize=10, color=INK, parse_math=False)
    if chart.footnote:
        fig.supxlabel(chart.footnote, fontsize=8, color=INK)
    return fig


def _parts(*drawn: Axes) -> dict[str, Any]:
    """The legend entries of these axes: a handle for each name."""
    found: dict[str, Any] = {}
    for axes in drawn:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    return found


def draw_alone(axes: Axes, panel: Panel) -> None:
    """Draw a panel and its legend on the axes."""
    draw_panel(axes, panel)
    if parts := _parts(axes):
        where = {"bbox_to_anchor": (0.5, -0.13), **LEGEND}
        axes.legend(parts.values(), parts.keys(), loc="upper center", **where)


def draw_panel(axes: Axes, panel: Panel) -> None:
    if panel.y_limits is not None:
        axes.set_ylim(*panel.y_limits)
    if panel.x_limits is not None:
        axes.set_xlim(*panel.x_limits)
    if panel.x_scale in ("log", "log2"):
        axes.set_xscale("log", base=2 if panel.x_scale == "log2" else 10)
    if panel.y_scale == "log":
        axes.set_yscale("log")
    for line in panel.lines:
        _draw(axes, line)
    _fit(axes, panel)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    axes.set_title(panel.title, loc="left", fontsize=11, color=INK)
    for place, remark in enumerate(panel.remarks):
        axes.text(1.03, place, remark, transform=axes.get_yaxis_transform(), fontsize=10,
                  va="center", color=INK)  # fmt: skip
    polish(axes)


def _draw(axes: Axes, line: Line) -> None:
    look, kind = line.look, line.kind
    own: dict[str, Any] = {"color": look.colour, "gid": look.gid, "label": line.name or "_"}
    if kind == "upright":
        axes.axvline(line.x[0], linestyle=look.dash, linewidth=1.8 if line.texts else 1, **own)
        for text in line.texts:
            axes.annotate(text, (line.x[0], 1), (3, -3), xycoords=axes.get_xaxis_transform(),
                          textcoords="offset points", rotation=90, fontsize=8.5, va="top",
                          color=look.colour, gid=look.gid, annotation_clip=True)  # fmt: skip
        return
    if kind == "span":
        axes.axvspan(line.x[0], line.x[1], alpha=0.14, linewidth=0, **own)
        return
    if kind == "cells":
        _draw_cells(axes, line)
        return
    style = {"linestyle": look.dash, "marker": look.marker, **own, **KINDS[kind]}
    if kind in AT_EDGE:
        edge = np.full(len(line.x), AT_EDGE[kind])
        axes.plot(line.x, edge, transform=axes.get_xaxis_transform(), scaley=False, **style)
    elif kind == "bars":
        assert line.low is not None and line.high is not None
        errors = np.nan_to_num([line.y - line.low, line.high - line.y])
        axes.errorbar(line.x, line.y, yerr=errors, **style)
    else:
        every = max(1, len(line.x) // MOST_MARKERS) if kind == "line" else None
        axes.plot(line.x, line.y, markevery=every, **style)
        if line.low is not None and line.high is not None:
            axes.fill_between(line.x, line.low, line.high, color=look.colour, alpha=0.1,
                              linewidth=0, gid=look.gid)  # fmt: skip


def _draw_cells(axes: Axes, line: Line) -> None:
    """A rectangle around each point, as wide as the spacing of the points on a log axis."""
    assert line.low is not None and line.high is not None
    xs = np.unique(line.x)
    half = math.sqrt(float(np.min(xs[1:] / xs[:-1]))) if len(xs) > 1 else 1.4
    for x, y, shade, value in zip(line.x, line.y, line.low, line.high, strict=True):
        known = math.isfinite(value)
        tint = (1 - 0.85 * shade, 1 - 0.5 * shade, 1 - 0.2 * shade) if known else "white"
        corner = (x / half, y - 0.5)
        axes.add_patch(Rectangle(corner, x * half - x / half, 1, facecolor=tint, edgecolor="white"))
        axes.text(x, y, f"{value:.4g}" if known else "×", fontsize=8, ha="center", va="center",
                  color="black")  # fmt: skip
    axes.set_xlim(xs[0] / half, xs[-1] * half)


def _fit(axes: Axes, panel: Panel) -> None:
    """Set limits and ticks once the lines are drawn."""
    if panel.x_scale == "epochs":
        _epochs_axis(axes, panel)
    for axis, scale in ((axes.xaxis, panel.x_scale), (axes.yaxis, panel.y_scale)):
        if scale == "log":
            _plain_log_ticks(axis)
        elif scale == "accuracy":
            axis.set_major_formatter(lambda value, _: f"{100 * value:.6g}".replace("-", "−"))
    if panel.x_ticks:
        axes.xaxis.set_major_locator(FixedLocator(panel.x_ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
    if panel.y_scale == "from 0":
        axes.set_ylim(bottom=0)
    if panel.y_scale == "accuracy":
        axes.set_ylim(top=min(1.0, axes.get_ylim()[1]), bottom=max(0.0, axes.get_ylim()[0]))
    if panel.rows:
        names = [clean(name, NAME_WIDTH) for name in panel.rows]
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set_ylim(len(names) - 0.4, -0.6)


def _epochs_axis(axes: Axes, panel: Panel) -> None:
    first = min(float(line.x[0]) for line in panel.lines)
    last = max(float(line.x[-1]) for line in panel.lines if line.kind in ("line", "plain"))
    if first < 1:
        axes.set_xlim(0, math.ceil(last))
    else:
        axes.set_xlim(min(1.0, last - 0.5) if last > 1 else 0.5, last)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _plain_log_ticks(axis: Axis) -> None:
    """Label 0.1, 0.2, 0.5, 1 … instead of powers of ten; space ticks evenly if fewer than three
    would show."""
    low, high = axis.get_view_interval()
    locator = LogLocator(subs=(1.0, 2.0, 5.0) if high < MANY * low else (1.0,))
    shown = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
    few = MaxNLocator(5, steps=[1, 2, 5, 10])
    axis.set_major_locator(locator if len(shown) >= 3 else few)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def _label_ends(axes: Axes, panel: Panel) -> None:
    """Write the name of each line to the right of the axes, as close to the height of the line's
    end as space allows, and join the two with a thin line."""
    lines = [line for line in panel.lines if line.kind in ("line", "plain", "bars")]
    axes.autoscale_view()
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = to_axes.transform(np.reshape([(line.x[-1], line.y[-1]) for line in lines], (-1, 2)))
    fig = axes.get_figure(root=True)
    assert fig is not None
    height = fig.get_figheight() * 72 * axes.get_position().height
    gap = min(1.35 * LABEL_POINTS / height, 1 / max(1, len(lines) - 1))
    for line, (x, y), at in zip(lines, ends, spread(ends[:, 1], gap), strict=True):
        own: dict[str, Any] = {"transform": axes.transAxes, "color": line.look.colour}
        axes.plot([x, 1.03], [y, at], linewidth=0.6, alpha=0.7, clip_on=False, scalex=False,
                  scaley=False, **own)  # fmt: skip
        axes.text(1.04, at, clean(line.name, LABEL_WIDTH), fontsize=LABEL_POINTS, va="center",
                  parse_math=False, **own)  # fmt: skip


def spread(places: Sequence[float] | Floats, gap: float) -> list[float]:
    """The closest places (in least squares) that keep their order and are at least `gap` apart,
    within 0..1 if they fit.

    >>> spread([0.5, 0.5, 0.9], 0.2)
    [0.4, 0.6, 0.9]
    """
    order, steps = np.argsort(places, kind="stable"), gap * np.arange(len(places))
    if not len(order):
        return []
    free = isotonic_regression(np.asarray(places)[order] - steps).x
    found = np.empty(len(order))
    found[order] = np.clip(free, 0, max(0.0, 1 - steps[-1])) + steps
    return [float(place) for place in found.round(6)]
