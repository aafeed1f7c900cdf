"""The picture of a range test's table: answer and stable limit against batch size and momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.rangetest.result import FindResult
from lrbench.report.style import DASHES, INK, PALETTE, TITLE, figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]

ANSWER, LIMIT = PALETTE[2], PALETTE[1]
RULES = {"lr_sqrt_rule": "square-root rule", "lr_linear_rule": "linear rule"}
PANEL = (5.2, 4.6)


def save_table_plot(result: FindResult, path: Path) -> Path:
    """Draw the table into a file, a panel for each quantity that takes several values.

    Raises:
        MachineError: it cannot be written.
    """
    fig = figure()
    panels(fig, result.table)
    return save(fig, path)


def panels(fig: Figure, rows: Sequence[Row]) -> None:
    """Draw the rows of a table into a figure."""
    names = [name for name in ("batch_size", "momentum") if len({row[name] for row in rows}) > 1]
    names = names or ["batch_size"]
    fig.set_size_inches(PANEL[0] * len(names), PANEL[1])
    for ax, name in zip(fig.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        (_against_batch_size if name == "batch_size" else _against_momentum)(ax, rows)
        ax.set_yscale("log")
        ax.set_ylabel("learning rate")
        below = (0.5, -0.13)
        ax.legend(loc="upper center", bbox_to_anchor=below, ncols=2, fontsize=8.5, frameon=False)


def _against_batch_size(ax: Axes, rows: Sequence[Row]) -> None:
    _lines(ax, rows, "batch_size", "momentum", "momentum {:g}")
    for momentum in sorted({row["momentum"] for row in rows}):
        part = [row for row in rows if row["momentum"] == momentum]
        for dash, (rule, name) in zip(DASHES[1:], RULES.items(), strict=True):
            label = name if momentum == rows[0]["momentum"] else "_"
            sizes, lrs = _known(part, "batch_size", rule)
            ax.plot(sizes, lrs, linestyle=dash, color=INK, alpha=0.5, linewidth=1.2, label=label)
    sizes = sorted({row["batch_size"] for row in rows})
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.set_xlabel("batch size")
    ax.set_title("against batch size", **TITLE)


def _against_momentum(ax: Axes, rows: Sequence[Row]) -> None:
    _lines(ax, rows, "momentum", "batch_size", "batch {:g}")
    ax.set_xticks(sorted({row["momentum"] for row in rows}))
    ax.set_xlabel("momentum")
    ax.set_title("against momentum", **TITLE)


def _lines(ax: Axes, rows: Sequence[Row], across: str, apart: str, words: str) -> None:
    """A line of answers and one of stable limits for each value that sets rows apart."""
    values = sorted({row[apart] for row in rows})
    for place, value in enumerate(values):
        part = [row for row in rows if row[apart] == value]
        also = f", {words.format(value)}" if len(values) > 1 else ""
        marker = "os^DvPX"[place % 7]
        for column, colour, name in (
            ("lr", ANSWER, "answer"),
            ("max_stable_lr", LIMIT, "largest stable"),
        ):
            x, y = _known(part, across, column)
            ax.plot(x, y, marker=marker, color=colour, label=name + also if x else "_")


def _known(rows: Sequence[Row], across: str, column: str) -> tuple[list[float], list[float]]:
    """The points of the rows that have a number in the column, by rising abscissa."""
    pairs = sorted((row[across], row[column]) for row in rows if row[column] is not None)
    return [x for x, _ in pairs], [y for _, y in pairs]
