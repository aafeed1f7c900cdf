"""`report.md`: the ranking as Markdown."""

from __future__ import annotations

from pathlib import Path

from lrbench.analysis import Summary
from lrbench.files import replace_file
from lrbench.report.markdown import to_markdown
from lrbench.report.renderers import RENDERERS


@RENDERERS.register("markdown", "report.md: the ranking as Markdown")
def write(summary: Summary, folder: Path) -> list[Path]:
    return [replace_file(folder / "report.md", to_markdown(summary).encode())]
