"""The files of a run: tables, pictures, the page, Markdown."""

from pathlib import Path

from lrbench.analysis import Summary
from lrbench.files import replace_file
from lrbench.report import plots, write_csv
from lrbench.report.html import compare_page
from lrbench.report.html.page import manifest_of
from lrbench.report.markdown import to_markdown
from lrbench.report.renderers import RENDERERS
from lrbench.report.torch_lines import torch_lines

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
