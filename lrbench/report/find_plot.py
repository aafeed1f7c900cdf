"""The picture of a range test: curves, band, answer, range and stable limit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lrbench.rangetest.result import CurvePoint, FindResult
from lrbench.report.style import PALETTE, TITLE, figure, polish, save
from lrbench.report.text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE, PROBE, ANSWER, SWEEP, LIMIT = PALETTE[0], PALETTE[3], PALETTE[2], PALETTE[6], PALETTE[1]
SIZE = (8.0, 5.2)
ROOM_ABOVE = 0.45  # of the height of the fall, above the start: what blows up leaves the picture
ROOM_BELOW = 0.1


def save_find_plot(result: FindResult, path: Path) -> Path:
    """Draw the result into a file; needs no display, and equal results give equal bytes.

    Raises:
        MachineError: it cannot be written.
    """
    fig = figure(*SIZE)
    draw(result, fig.add_subplot())
    return save(fig, path)


def loss_name(result: FindResult) -> str:
    """Which loss the curve is of."""
    name = "validation loss" if result.settings.get("val_loss") else "training loss"
    apart = result.settings.get("others_train")
    return f"{name} without what other groups learn" if apart else name


def draw(result: FindResult, ax: Axes | None = None) -> Axes:
    """Draw the result on axes, pyplot's new ones where none are given."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=SIZE, layout="constrained").add_subplot()
    ax.set_xscale("log")
    ax.set_ylim(*_loss_limits(result))
    _curves(ax, result)
    _answers(ax, result)
    _probes(ax, result)
    ax.set_xlabel("learning rate")
    ax.set_ylabel(loss_name(result))
    ax.set_title(_title(result), **TITLE)
    if len(ax.get_legend_handles_labels()[0]):
        below = (0.5, -0.13)
        ax.legend(loc="upper center", bbox_to_anchor=below, ncols=3, fontsize=8.5, frameon=False)
    polish(ax)
    return ax


def _title(result: FindResult) -> str:
    recipe = result.settings.get("recipe") or result.settings
    names = (recipe.get(name) for name in ("dataset", "model", "optimizer"))
    what = clean(" · ".join(str(name) for name in names if name))
    answer = "no learning rate can be defended" if result.lr is None else f"lr {result.lr:.2g}"
    doubt = f"\n{clean(result.reasons[0])}" if result.reasons else ""
    return f"{what}: {answer}, grade {result.grade}{doubt}".removeprefix(": ")


def _curves(ax: Axes, result: FindResult) -> None:
    """Raw losses as dots, smoothed ones as lines, one line a seed."""
    curves = _by_seed(result.curve)
    for place, points in enumerate(curves):
        lrs = [point.lr for point in points]
        raw = [_number(point.loss) for point in points]
        smoothed = [_number(point.smoothed) for point in points]
        labels = ("loss in the sweep", f"smoothed, {len(curves)} seeds") if place == 0 else ("", "")
        ax.plot(lrs, raw, ".", ms=4, color=CURVE, alpha=0.3, label=labels[0], mew=0)
        ax.plot(lrs, smoothed, "-", color=CURVE, linewidth=1.5, alpha=0.9, label=labels[1])


def _answers(ax: Axes, result: FindResult) -> None:
    if result.lr_range is not None:
        low, high = result.lr_range
        bottom, top = ax.get_ylim()
        strip = bottom + 0.02 * (top - bottom)
        label = f"loss falls, {low:.2g} to {high:.2g}"
        line = ax.plot([low, high], [strip, strip], color=ANSWER, alpha=0.35, linewidth=8)[0]
        line.set(solid_capstyle="butt", label=label)
    if result.band is not None:
        label = "10–90 % of the seeds"
        ax.axvspan(*result.band, color=SWEEP, alpha=0.14, linewidth=0, label=label)
    if result.lr_sweep is not None and result.lr_sweep != result.lr:
        _upright(ax, result.lr_sweep, SWEEP, ":", "the sweep alone")
    if result.lr is not None:
        _upright(ax, result.lr, ANSWER, "-", "answer")
    if result.max_stable_lr is not None:
        _upright(ax, result.max_stable_lr, LIMIT, "--", "largest stable")


def _upright(ax: Axes, lr: float, colour: str, dash: str, name: str) -> None:
    ax.axvline(lr, color=colour, linestyle=dash, linewidth=1.8, label=f"{name}, {lr:.2g}")


def _probes(ax: Axes, result: FindResult) -> None:
    """The losses of the short trainings at constant learning rates; a cross at the upper
    edge is one that diverged."""
    if result.verification is None:
        return
    pairs = result.verification["losses"]
    lrs = [lr for lr, loss in pairs if loss is not None]
    losses = [loss for _, loss in pairs if loss is not None]
    data = result.verification.get("data", "training")
    label = f"{data} loss + ½ sd after {result.verification['steps']} steps at one LR"
    ax.plot(lrs, losses, "D-", color=PROBE, markersize=5, linewidth=1, label=label)
    lost = [lr for lr, loss in pairs if loss is None]
    if lost:
        top = ax.get_ylim()[1]
        ax.plot(lost, [top] * len(lost), "x", color=PROBE, mew=1.8, clip_on=False, label="diverged")


def _loss_limits(result: FindResult) -> tuple[float, float]:
    """From the lowest loss to a little above the start."""
    kept = [point for point in result.curve if point.smoothed is not None]
    trained = [loss for _, loss in (result.verification or {}).get("losses", ())]
    shown = _known([*(p.smoothed for p in kept), *(p.loss for p in kept), *trained])
    starts = _known(points[0].loss for points in _by_seed(result.curve)) or shown
    if not starts:
        return 0.0, 1.0
    low, start = min([*shown, *starts]), float(np.median(starts))
    height = max(start - low, 1e-3 * abs(start), 1e-9)
    return low - ROOM_BELOW * height, start + ROOM_ABOVE * height


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _by_seed(curve: Iterable[CurvePoint]) -> list[list[CurvePoint]]:
    seeds: dict[int, list[CurvePoint]] = {}
    for point in curve:
        seeds.setdefault(point.seed, []).append(point)
    return list(seeds.values())


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
