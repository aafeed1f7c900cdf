"""`report.html`, for people."""

from __future__ import annotations

from pathlib import Path

from lrbench.analysis import Summary
from lrbench.files import replace_file
from lrbench.report.html import compare_page
from lrbench.report.html.page import manifest_of
from lrbench.report.renderers import RENDERERS
from lrbench.report.torch_lines import torch_lines


@RENDERERS.register("html", "one page that needs no network", always=True)
def write(summary: Summary, folder: Path) -> list[Path]:
    manifest = summary.question.manifest or manifest_of(folder)
    page = compare_page(summary, manifest, torch_lines(summary, manifest))
    return [replace_file(folder / "report.html", page.encode())]
