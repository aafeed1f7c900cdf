"""`--export-…` and `--tensorboard`: where else to write the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrbench.cli.common import as_json, say
from lrbench.cli.params import output
from lrbench.errors import UsageError
from lrbench.files import readable_faults, replace_file

if TYPE_CHECKING:
    from lrbench.analysis import Summary
    from lrbench.rangetest.result import FindResult

STDOUT = "-"
OWN = ("manifest.json", "journal.jsonl", "state.pt", "run.lock", "run.pid")
PLACE: dict[str, Any] = {"metavar": "PATH|-", "hidden": True}


@dataclass(frozen=True)
class Exports:
    """Where else to write the answer: a path, `-` for stdout, or None."""

    # fmt: off
    markdown: Annotated[str | None, output(
        "--export-markdown", "The ranking as Markdown; - for stdout.", **PLACE
    )] = None
    csv: Annotated[str | None, output(
        "--export-csv", "The ranking as CSV; - for stdout.", **PLACE
    )] = None
    json: Annotated[str | None, output(
        "--export-json", "What --json prints; - for stdout.", **PLACE
    )] = None
    latex: Annotated[str | None, output(
        "--export-latex", "The ranking as a LaTeX table (booktabs); - for stdout.", **PLACE
    )] = None
    tensorboard: Annotated[bool, output(
        "--tensorboard", "Also write event files for TensorBoard.", hidden=True
    )] = False
    # fmt: on

    @property
    def _places(self) -> dict[str, str]:
        return {kind: place for kind, place in vars(self).items() if isinstance(place, str)}

    @property
    def to_stdout(self) -> bool:
        """True if an export goes to stdout, which must then hold nothing else."""
        return STDOUT in self._places.values()

    @property
    def renderers(self) -> list[str]:
        """The renderers requested by name."""
        return ["tensorboard"] if self.tensorboard else []

    def check(self, *, json: bool) -> None:
        """Refuse invalid combinations before anything runs.

        Raises:
            UsageError: two documents for one place, a reserved name, no tensorboardX.
        """
        places = [*(["-"] if json else []), *self._places.values()]
        for kind, place in self._places.items():
            if Path(place).name in OWN:
                raise UsageError(f"--export-{kind} {place}: reserved for a run's own files")
            if places.count(place) > 1:
                raise UsageError(f"--export-{kind} {place}: two outputs cannot go to one place")
        if self.tensorboard:
            from lrbench.report.renderers.tensorboard import check

            check()

    def make(self) -> None:
        """Create missing files, so that a wrong path fails now rather than in an hour.

        Raises:
            MachineError: a file cannot be written; the message names it.
        """
        for place in self._places.values():
            if place != STDOUT:
                with readable_faults(Path(place)), open(place, "ab"):
                    pass

    def write(self, texts: Mapping[str, str]) -> None:
        """Write each document to its place.

        Raises:
            MachineError: a document cannot be written.
        """
        for kind, place in self._places.items():
            text = texts[kind]
            if place == STDOUT:
                typer.echo(text, nl=not text.endswith("\n"))
            elif Path(place).is_fifo():
                with readable_faults(Path(place)):
                    Path(place).write_text(text, encoding="utf-8")
            else:
                replace_file(Path(place), text.encode())
                say(f"wrote {place}")


def comparison_texts(summary: Summary, document: Mapping[str, Any]) -> dict[str, str]:
    """A comparison's ranking in each format."""
    from lrbench.report.latex import to_latex
    from lrbench.report.markdown import to_markdown
    from lrbench.report.write_csv import to_csv

    return {
        "markdown": to_markdown(summary),
        "csv": to_csv(summary.ranking),
        "json": as_json(document) + "\n",
        "latex": to_latex(summary),
    }


def find_texts(result: FindResult) -> dict[str, str]:
    """A range test's answer in each format; the CSV holds its curves."""
    from lrbench.report.find_files import curve_csv
    from lrbench.report.latex import find_latex
    from lrbench.report.markdown import find_markdown

    return {
        "markdown": find_markdown(result),
        "csv": curve_csv(result),
        "json": result.to_json() + "\n",
        "latex": find_latex(result),
    }
