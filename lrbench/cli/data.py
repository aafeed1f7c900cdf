"""`lrbench data`: lists, fetches and checks datasets."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lrbench.cli.common import reading, stdout
from lrbench.errors import UsageError
from lrbench.options.recipe import TEXT_PREFIX

app = typer.Typer(no_args_is_help=True, help="List, fetch and check datasets.")

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A dataset, folder:PATH, text:FILE or module:function."),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder for datasets; or set LRBENCH_DATA_DIR."),
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
    table.add_row("module:function", "", "", "", "", "", "your own; see docs/own.md")
    stdout().print(table)


@app.command("fetch")
def fetch(name: Name, data_dir: DataDir = None) -> None:
    """Download a dataset if it is missing, and check it; accept a folder's current contents."""
    _check(name, data_dir, fetch=True)


@app.command("check")
def check(name: Name, data_dir: DataDir = None) -> None:
    """Read and verify a whole dataset."""
    _check(name, data_dir)


def _check(name: str, data_dir: Path | None, *, fetch: bool = False) -> None:
    from lrbench.data import check
    from lrbench.data.text import load_text

    data: Any
    if name.startswith(TEXT_PREFIX):
        data = load_text(name, "NAME")
        what, folder, checked = f"{len(data.text):,} characters", data.source, "a text in UTF-8"
    else:
        try:
            with reading(name) as progress:
                data, folder, checked = check(name, data_dir, progress, fetch=fetch)
        except UsageError as fault:
            message = fault.message.removeprefix("--dataset").lstrip(": ")
            raise UsageError(f"NAME: {message}", hint=fault.hint) from None
        shape = "×".join(map(str, data.image_shape))
        train, test, classes = map(len, (data.train_labels, data.test_labels, data.classes))
        what = f"{train:,} training and {test:,} test images of {shape}, {classes} classes"
    where = f" in {folder}" if folder else ""
    stdout().print(
        f"{name}{where}: {what}, digest {data.digest[:12]}; checked: {checked}",
        soft_wrap=True,
        markup=False,
    )


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
