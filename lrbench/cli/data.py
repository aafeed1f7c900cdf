"""`lrbench data`: which datasets there are, fetch one, check one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli.common import stderr, stdout

app = typer.Typer(no_args_is_help=True, help="List datasets, fetch one, check one.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A dataset, or folder:PATH.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where datasets lie; or set LRBENCH_DATA_DIR."),
]


@app.command("list")
def list_() -> None:
    """List the datasets and what each holds."""
    from rich.table import Table

    from lrbench.data import DATASETS

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "train", "test", "image", "classes", "what"):
        table.add_column(heading, justify="right" if heading in ("train", "test") else "left")
    for entry in DATASETS:
        facts = entry.facts
        shape = "×".join(str(n) for n in facts.get("shape", ()))
        counts = [f"{facts[key]:,}" if key in facts else "" for key in ("train", "test")]
        table.add_row(entry.name, *counts, shape, str(facts.get("classes", "")), entry.summary)
    table.add_row("folder:PATH", "", "", "", "", "train/CLASS/* and test/CLASS/* image files")
    stdout().print(table)


@app.command("fetch")
def fetch(name: Name, data_dir: DataDir = None) -> None:
    """Download a dataset, and check it."""
    _checked(name, data_dir, download=True)


@app.command("check")
def check(name: Name, data_dir: DataDir = None) -> None:
    """Check that a dataset is there and whole."""
    _checked(name, data_dir, download=False)


def _checked(name: str, data_dir: Path | None, *, download: bool) -> None:
    from lrbench.data import load

    with stderr().status(f"reading {name}"):
        data = load(name, data_dir, download)
    stdout().print(
        f"{data.name}: {len(data.train_labels):,} training and {len(data.test_labels):,} test "
        f"images of {'×'.join(str(n) for n in data.train_images.shape[1:])}, "
        f"{len(data.classes)} classes, digest {data.digest[:12]}",
        soft_wrap=True,
        markup=False,
    )
