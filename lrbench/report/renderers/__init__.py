"""Files made from a summary. A renderer is a function registered here or in a file of this folder,
or an entry point of another package in the group `lrbench.renderers`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from lrbench.analysis import Summary
from lrbench.files import replace_file
from lrbench.registry import Registry
from lrbench.report import plots, write_csv
from lrbench.report.html import compare_page
from lrbench.report.html.page import manifest_of
from lrbench.report.markdown import to_markdown
from lrbench.report.torch_lines import torch_lines

Renderer = Callable[[Summary, Path], list[Path]]
"""Writes files into the run's folder, which holds its `manifest.json`; returns their paths.
Equal summaries give equal bytes. Registered with `always=True`, it runs after every comparison."""

RENDERERS: Registry[Renderer] = Registry("renderer", "lrbench.report.renderers")
RENDERERS.register("csv", "the tables of a run", always=True)(write_csv.write)


@RENDERERS.register("html", "report.html: one page that needs no network", always=True)
def write_page(summary: Summary, folder: Path) -> list[Path]:
    manifest = summary.question.manifest or manifest_of(folder)
    page = compare_page(summary, manifest, torch_lines(summary, manifest))
    return [replace_file(folder / "report.html", page.encode())]


@RENDERERS.register("markdown", "report.md: the ranking as Markdown")
def write_markdown(summary: Summary, folder: Path) -> list[Path]:
    return [replace_file(folder / "report.md", to_markdown(summary).encode())]


@RENDERERS.register("plots", "pictures under plots/, PNG and SVG", always=True)
def write_plots(summary: Summary, folder: Path) -> list[Path]:
    return plots.write(summary, folder / "plots", ("png", "svg"))


def write_all(summary: Summary, folder: Path, also: Sequence[str] = ()) -> list[Path]:
    """Run the renderers that always run, and those that were requested.

    Raises:
        MachineError: a file cannot be written; the message names it.
        UsageError: an unknown renderer.
    """
    wanted = [entry for entry in RENDERERS if entry.facts.get("always")]
    wanted += [entry for name in also if (entry := RENDERERS.get(name)) not in wanted]
    return [path for entry in wanted for path in entry.make(summary, folder)]
