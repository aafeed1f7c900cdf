"""`lrbench data`: which datasets there are, fetch one, check one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lrbench.cli.common import reading, stdout

if TYPE_CHECKING:
    from lrbench.data import Checked

app = typer.Typer(no_args_is_help=True, help="List datasets, fetch one, check one.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A dataset, or folder:PATH.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the datasets; or set LRBENCH_DATA_DIR."),
]


@app.command("list")
def list_(data_dir: DataDir = None) -> None:
    """List the datasets: what each holds, and whether it is on this machine."""
    from lrbench.data import listing

    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for heading in ("train", "test", "image", "classes"):
        table.add_column(heading, justify="right")
    table.add_column("state")
    table.add_column("what")
    for found in listing(data_dir):
        shape = "×".join(str(n) for n in found.shape or ())
        table.add_row(
            found.name, _count(found.train), _count(found.test), shape, _count(found.classes),
            found.state, found.summary,
        )  # fmt: skip
    table.add_row("folder:PATH", "", "", "", "", "", "train/CLASS/*, test/CLASS/*; or CLASS/*")
    table.add_row("text:FILE", "", "", "", "", "", "any file; or text:default, Python's own manual")
    table.add_row("module:function", "", "", "", "", "", "your own, as docs/own.md says")
    stdout().print(table)


@app.command("fetch")
def fetch(name: Name, data_dir: DataDir = None) -> None:
    """Download a dataset if it is missing, and check it; accept a folder as it is now."""
    from lrbench.data import check as hold

    with reading(name) as progress:
        _say(hold(name, data_dir, progress, fetch=True))


@app.command("check")
def check(name: Name, data_dir: DataDir = None) -> None:
    """Read a whole dataset and verify it."""
    from lrbench.data import check as hold

    with reading(name) as progress:
        _say(hold(name, data_dir, progress))


def _say(found: Checked) -> None:
    where = f" in {found.path}" if found.path else ""
    stdout().print(
        f"{found.name}{where}: {found.train:,} training and {found.test:,} test images of "
        f"{'×'.join(str(n) for n in found.shape)}, {len(found.classes)} classes, "
        f"digest {found.digest[:12]}; checked: {found.integrity}",
        soft_wrap=True,
        markup=False,
    )


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
