"""The picture of a range test: curves, band, answer, range and stable limit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.rangetest.result import CurvePoint, FindResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANSWER, SWEEP, LIMIT, CURVE, PROBE = "#0b6e4f", "#6b7280", "#b3261e", "#3563a8", "#b45f06"
INK, SOFT = "#1f2933", "#6b7280"


def save_find_plot(result: FindResult, path: Path) -> None:
    """Draw the result into a file; needs no display, and equal results give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    draw(result, figure.add_subplot())
    figure.savefig(path, dpi=150, metadata={"Software": None})


def draw(result: FindResult, ax: Axes | None = None) -> Axes:
    """Draw the result on axes, new ones where none are given."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(8, 4.8), layout="constrained").add_subplot()
    low, high = _loss_limits(result)
    _curves(ax, result)
    _probes(ax, result)
    ax.set_xscale("log")
    ax.set_ylim(low, high)
    _answers(ax, result)
    ax.set_xlabel("learning rate", color=INK)
    ax.set_ylabel("training loss", color=INK)
    ax.set_title(_title(result), loc="left", fontsize=11, color=INK)
    ax.grid(True, which="major", color="#e5e7eb", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=SOFT, which="both", labelcolor=INK)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#9aa5b1")
    ax.legend(loc="upper left", fontsize=8, frameon=True, framealpha=0.9, edgecolor="none")
    return ax


def _title(result: FindResult) -> str:
    recipe = result.settings.get("recipe")
    what = f"{recipe['dataset']}, {recipe['model']}, {recipe['optimizer']}: " if recipe else ""
    if result.lr is None:
        reason = result.reasons[0] if result.reasons else "no reason given"
        return f"{what}no learning rate can be defended\n{reason}"
    doubt = f"\n{result.reasons[0]}" if result.reasons else ""
    return f"{what}lr {result.lr:.2g}, grade {result.grade}{doubt}"


def _curves(ax: Axes, result: FindResult) -> None:
    """Raw losses as dots, smoothed ones as lines, one line a seed."""
    for place, points in enumerate(_by_seed(result.curve)):
        lrs = [point.lr for point in points]
        label = "loss of each seed, smoothed" if place == 0 else None
        ax.plot(lrs, [_number(p.loss) for p in points], ".", ms=3, color=CURVE, alpha=0.25)
        smoothed = [_number(p.smoothed) for p in points]
        ax.plot(lrs, smoothed, "-", color=CURVE, linewidth=1.6, alpha=0.85, label=label)


def _probes(ax: Axes, result: FindResult) -> None:
    """The mean losses of the short trainings at constant learning rates."""
    if result.verification is None:
        return
    pairs = [(lr, loss) for lr, loss in result.verification["losses"] if loss is not None]
    steps = result.verification["steps"]
    ax.plot(
        [lr for lr, _ in pairs],
        [loss for _, loss in pairs],
        "D-",
        color=PROBE,
        markersize=4.5,
        linewidth=0.9,
        label=f"loss after {steps} steps at this LR",
    )


def _answers(ax: Axes, result: FindResult) -> None:
    if result.band is not None:
        label = "10-90 % of the seeds"
        ax.axvspan(*result.band, color=SWEEP, alpha=0.16, linewidth=0, label=label)
    if result.lr_range is not None:
        low, _ = ax.get_ylim()
        ends = f"loss falls, {result.lr_range[0]:.2g} to {result.lr_range[1]:.2g}"
        ax.plot(
            result.lr_range,
            [low, low],
            color=ANSWER,
            linewidth=7,
            alpha=0.45,
            solid_capstyle="butt",
            label=ends,
        )
    if result.lr_sweep is not None and result.lr_sweep != result.lr:
        _upright(ax, result.lr_sweep, SWEEP, ":", f"sweep alone {result.lr_sweep:.2g}")
    if result.lr is not None:
        _upright(ax, result.lr, ANSWER, "-", f"answer {result.lr:.2g}")
    if result.max_stable_lr is not None:
        label = f"largest stable {result.max_stable_lr:.2g}"
        _upright(ax, result.max_stable_lr, LIMIT, "--", label)


def _upright(ax: Axes, lr: float, color: str, style: str, label: str) -> None:
    ax.axvline(lr, color=color, linestyle=style, linewidth=1.6, label=label)


def _loss_limits(result: FindResult) -> tuple[float, float]:
    """From the lowest loss to a little above the start: what blows up leaves the picture."""
    raw = np.array([point.loss for point in result.curve if point.loss is not None])
    if len(raw) == 0:
        return 0.0, 1.0
    smoothed = [point.smoothed for point in result.curve if point.smoothed is not None]
    probes = [loss for _, loss in (result.verification or {}).get("losses", []) if loss is not None]
    low = min([*(smoothed or raw), *probes])
    first = [points[0].loss for points in _by_seed(result.curve) if points[0].loss is not None]
    start = max([*np.percentile(raw, [50]), *first])
    height = max(start - low, 1e-6 * abs(start), 1e-12)
    return float(low - 0.08 * height), float(start + 0.45 * height)


def _by_seed(curve: Iterable[CurvePoint]) -> list[list[CurvePoint]]:
    seeds: dict[int, list[CurvePoint]] = {}
    for point in curve:
        seeds.setdefault(point.seed, []).append(point)
    return list(seeds.values())


def _number(value: float | None) -> Any:
    return np.nan if value is None else value
