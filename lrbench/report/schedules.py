"""Shows schedules: the catalogue, a preview, a plot."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from lrbench.errors import UsageError
from lrbench.registry import Entry
from lrbench.report.style import figure, looks, save
from lrbench.schedules import parse

BARS = "▁▂▃▄▅▆▇█"
BAR_WIDTH = 12
COLUMNS = 6
PERCENTS = (0, 5, 25, 50, 75, 100)  # of the run, at which a preview shows the LR


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The values as `width` bars between 0 and their maximum.

    >>> sparkline([0, 1, 2, 3], width=4)
    '▁▃▆█'
    """
    count = min(width, len(values))
    highest = max(values, default=0.0)
    if highest <= 0:
        return BARS[0] * count
    places = [column * (len(values) - 1) // max(1, count - 1) for column in range(count)]
    return "".join(BARS[round(values[place] / highest * (len(BARS) - 1))] for place in places)


def catalogue_table(entries: Iterable[Entry[Any]]) -> Table:
    """Name, shape (lrbench's own schedules only), meaning, formula, and equivalent torch class."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    table.add_column("what it does · formula · torch class", ratio=1)
    for entry in entries:
        about = Text(entry.summary)
        about.append(f"\n{entry.facts['formula']}", style="cyan")
        if entry.facts.get("torch") and entry.facts["torch"] != entry.name:
            about.append(f"  = {entry.facts['torch']}", style="dim")
        own = not entry.make.of_torch  # torch's classes would import torch
        shape = sparkline(_bare_table(entry.name), BAR_WIDTH) if own else ""
        table.add_row(Text(entry.name, style="bold"), shape, about)
    return table


def draw_catalogue(entries: Iterable[Entry[Any]], path: Path) -> None:
    """A small plot for each bare name over a run of 100 epochs, coloured by family."""
    shown = [(entry, table) for entry in entries if (table := _bare_table(entry.name))]
    rows = -(-len(shown) // COLUMNS)
    fig = figure(2 * COLUMNS, 1.35 * rows + 0.3)
    look = looks(sorted({entry.facts["family"] for entry, _ in shown}))
    families: dict[str, Any] = {}
    grid = fig.subplots(rows, COLUMNS, squeeze=False).flat
    for axes, (entry, table) in zip(grid, shown, strict=False):
        family = entry.facts["family"]
        (families[family],) = axes.plot(table, color=look[family].colour, linewidth=1.4)
        axes.set_title(entry.name, fontsize=8 if len(entry.name) < 20 else 6)
    for axes in fig.axes:
        axes.set_axis_off()
        axes.set_ylim(bottom=0)
    fig.legend(
        families.values(), families.keys(), loc="outside lower center", ncols=len(families),
        frameon=False,
    )  # fmt: skip
    save(fig, path)


def _bare_table(name: str) -> list[float]:
    """The LRs of a bare name; empty if it needs arguments."""
    try:
        return parse(name).table(lr=1.0, steps=1000, steps_per_epoch=10)
    except UsageError:
        return []


def preview_table(tables: Mapping[str, Sequence[float]]) -> Table:
    """A row for each schedule: a sparkline, and the LR at some points of the run."""
    table = Table(box=None, pad_edge=False)
    table.add_column("schedule", overflow="fold")
    table.add_column("shape", no_wrap=True)
    for percent in PERCENTS:
        table.add_column(f"{percent} %", justify="right", no_wrap=True)
    for name, lrs in tables.items():
        places = [min(len(lrs) - 1, percent * len(lrs) // 100) for percent in PERCENTS]
        values = [f"{lrs[place]:.3g}" for place in places]
        table.add_row(Text(name), sparkline(lrs, BAR_WIDTH), *values)
    return table


def draw_schedules(tables: Mapping[str, Sequence[float]], steps_per_epoch: int, path: Path) -> None:
    """One plot of all schedules: LR against epochs."""
    fig = figure(8, 4.5)
    axes = fig.subplots()
    look = looks(list(tables))
    for name, lrs in tables.items():
        epochs = [step / steps_per_epoch for step in range(len(lrs))]
        axes.plot(epochs, lrs, label=name, color=look[name].colour)
    axes.set_xlabel("epoch")
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)
    fig.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    save(fig, path)
