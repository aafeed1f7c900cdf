"""The pictures of a comparison: each is a function from a summary to a figure, or to None where
there is nothing to draw. A new one is a function in a file here and a line in PLOTS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.analysis import Summary
from lrbench.files import replace_file
from lrbench.report.plots.cells import batch_sizes_plot, budgets_plot
from lrbench.report.plots.curves import accuracy_plot, loss_plot, lr_plot
from lrbench.report.plots.final import final_plot
from lrbench.report.plots.sensitivity import sensitivity_plot
from lrbench.report.style import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOTS: dict[str, Callable[[Summary], Figure | None]] = {
    "final": final_plot,
    "accuracy": accuracy_plot,
    "loss": loss_plot,
    "lr": lr_plot,
    "sensitivity": sensitivity_plot,
    "budgets": budgets_plot,
    "batch_sizes": batch_sizes_plot,
}


def write(summary: Summary, folder: Path, kinds: Sequence[str] = ("png",)) -> list[Path]:
    """Draw every plot that has something to show into the folder. Returns the paths.

    Raises:
        MachineError: a file cannot be written; the message names it.
    """
    paths = []
    for name, draw in PLOTS.items():
        fig = draw(summary)
        if fig is not None:
            paths += [replace_file(folder / f"{name}.{kind}", render(fig, kind)) for kind in kinds]
    return paths
