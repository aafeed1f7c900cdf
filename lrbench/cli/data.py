"""`lrbench data`: which datasets there are, fetch one, check one."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lrbench.cli.common import reading, stdout
from lrbench.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="List datasets, fetch one, check one.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A dataset, or folder:PATH.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the datasets; or set LRBENCH_DATA_DIR."),
]


@app.command("list")
def list_(data_dir: DataDir = None) -> None:
    """List the datasets: what each holds, and whether it is on this machine."""
    from lrbench.data import DATASETS, whereabouts

    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for heading in ("train", "test", "image", "classes"):
        table.add_column(heading, justify="right")
    table.add_column("state")
    table.add_column("what")
    for entry in DATASETS:
        train, test, classes = (
            _count(entry.facts.get(key)) for key in ("train", "test", "classes")
        )
        shape = "×".join(map(str, entry.facts.get("shape", ())))
        state, _ = whereabouts(entry, data_dir)
        table.add_row(entry.name, train, test, shape, classes, state, entry.summary)
    table.add_row("folder:PATH", "", "", "", "", "", "train/CLASS/*, test/CLASS/*; or CLASS/*")
    table.add_row("text:FILE", "", "", "", "", "", "any file; or text:default, Python's own manual")
    table.add_row("module:function", "", "", "", "", "", "your own, as docs/own.md says")
    stdout().print(table)


@app.command("fetch")
def fetch(name: Name, data_dir: DataDir = None) -> None:
    """Download a dataset if it is missing, and check it; accept a folder as it is now."""
    _check(name, data_dir, fetch=True)


@app.command("check")
def check(name: Name, data_dir: DataDir = None) -> None:
    """Read a whole dataset and verify it."""
    _check(name, data_dir)


def _check(name: str, data_dir: Path | None, *, fetch: bool = False) -> None:
    from lrbench.data import check

    try:
        with reading(name) as progress:
            data, folder, checked = check(name, data_dir, progress, fetch=fetch)
    except UsageError as fault:
        what = fault.message.removeprefix("--dataset").lstrip(": ")
        raise UsageError(f"NAME: {what}", hint=fault.hint) from None
    where = f" in {folder}" if folder else ""
    stdout().print(
        f"{name}{where}: {len(data.train_labels):,} training and {len(data.test_labels):,} test "
        f"images of {'×'.join(map(str, data.image_shape))}, {len(data.classes)} classes, "
        f"digest {data.digest[:12]}; checked: {checked}",
        soft_wrap=True,
        markup=False,
    )


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
