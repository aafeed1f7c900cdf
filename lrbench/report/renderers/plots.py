"""The pictures of a run, as PNG and SVG."""

from __future__ import annotations

from pathlib import Path

from lrbench.analysis import Summary
from lrbench.report import plots
from lrbench.report.renderers import RENDERERS


@RENDERERS.register("plots", "pictures under plots/, PNG and SVG", always=True)
def write(summary: Summary, folder: Path) -> list[Path]:
    return plots.write(summary, folder / "plots", ("png", "svg"))
