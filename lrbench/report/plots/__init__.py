"""The plots of a comparison. Each is a function from a summary to a `Chart`, which is plain data,
registered in a file of this folder. They are drawn as PNG and SVG, on the page, and by
`Comparison.plot`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from lrbench.analysis import Summary
from lrbench.analysis.words import where
from lrbench.errors import UsageError
from lrbench.files import replace_file
from lrbench.registry import Entry
from lrbench.report.plots.chart import PLOTS, Chart, Plot
from lrbench.report.plots.draw import figure_of
from lrbench.report.style import render
from lrbench.report.text import recipe_of, subject

__all__ = ["PLOTS", "plot", "plots_of", "title", "write"]


def plot(summary: Summary, name: str) -> Figure:
    """The named plot as a figure.

    Raises:
        UsageError: there is no such plot, or this comparison has nothing to draw in it.
    """
    chart = PLOTS.get(name, option="plot").make(summary)
    if chart is None:
        raise UsageError(f"plot: this comparison has nothing to draw in {name!r}")
    return figure_of(chart, heading=_heading(summary, chart))


def plots_of(summary: Summary) -> Iterator[tuple[Entry[Plot], Chart]]:
    """Every plot that has something to show."""
    for entry in PLOTS:
        if (chart := entry.make(summary)) is not None:
            yield entry, chart


def write(summary: Summary, folder: Path, kinds: Sequence[str] = ("png",)) -> list[Path]:
    """Draw every plot that has something to show into the folder; returns the paths.

    Raises:
        MachineError: a file cannot be written; the message names it.
    """
    figures = (
        (entry.name, figure_of(chart, heading=_heading(summary, chart)))
        for entry, chart in plots_of(summary)
    )
    return [
        replace_file(folder / f"{name}.{kind}", render(fig, kind))
        for name, fig in figures
        for kind in kinds
    ]


def title(summary: Summary, chart: Chart) -> str:
    """What a plot shows and, if there are several rankings, for which one."""
    first = None if chart.every else summary.first
    return " ".join([chart.title, where(first, summary.standings) if first else ""]).rstrip()


def _heading(summary: Summary, chart: Chart) -> str:
    """The title with dataset, model and optimizer; empty if none is known."""
    named = subject(recipe_of(summary.question.manifest))
    return f"{title(summary, chart)}: {named}" if named else ""
