"""A renderer: the answer as one line of text."""

from pathlib import Path

from lrbench.report.renderers import RENDERERS


@RENDERERS.register("sentence", "the answer in a file", always=True)
def sentence(summary, folder: Path) -> list[Path]:
    path = folder / "sentence.txt"
    path.write_text(summary.sentence + "\n", encoding="utf-8")
    return [path]
