"""Schedules shown to people: the catalogue, a preview of some, a picture of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.registry import Entry
from lrbench.schedules import parse
from lrbench.schedules.preview import PERCENTS, preview, sparkline

if TYPE_CHECKING:
    from rich.table import Table

BAR_WIDTH = 12


def catalogue_table(entries: Iterable[Entry[Any]]) -> Table:
    """Name, shape, meaning, formula, and the torch class that equals it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    table.add_column("what it does · formula · torch's class", ratio=1)
    for entry in entries:
        about = Text(entry.summary)
        about.append(f"\n{entry.facts['formula']}", style="cyan")
        if entry.facts.get("torch") and entry.facts["torch"] != entry.name:
            about.append(f"  = {entry.facts['torch']}", style="dim")
        table.add_row(Text(entry.name, style="bold"), _shape(entry.name), about)
    return table


def _shape(name: str) -> str:
    """The bare name over a run; nothing for a name that means nothing without arguments."""
    from lrbench.errors import UsageError

    try:
        return preview(parse(name), width=BAR_WIDTH)
    except UsageError:
        return ""


def preview_table(tables: Mapping[str, Sequence[float]]) -> Table:
    """A row for each schedule: a sparkline, and the LR at some points of the run."""
    from rich.table import Table
    from rich.text import Text

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
    """One picture of all schedules: LR against epochs."""
    from lrbench.report.style import figure, save, series_colours

    fig = figure(8, 4.5)
    axes = fig.subplots()
    for colour, (name, lrs) in zip(series_colours(list(tables)), tables.items(), strict=True):
        epochs = [step / steps_per_epoch for step in range(len(lrs))]
        axes.plot(epochs, lrs, label=name, color=colour)
    axes.set_xlabel("epoch")
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    save(fig, path)
