"""What the commands share: consoles, notices, JSON."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from lrbench.errors import Notice, printable
from lrbench.options import CompareSpec, FindSpec, Options
from lrbench.plugins import names_alone
from lrbench.run.material import own_names


def stderr() -> Console:
    """Where progress and warnings go."""
    console = Console(stderr=True, highlight=False, emoji=False)
    console.soft_wrap = not console.is_terminal  # in a pipe, one line per warning
    return console


def stdout() -> Console:
    """Where data goes; in a pipe or a file, without trailing spaces."""
    return Console(highlight=False, emoji=False, file=None if sys.stdout.isatty() else _Trimmed())


class _Trimmed(io.StringIO):
    """Writes to stdout, without trailing spaces."""

    def write(self, text: str) -> int:
        return sys.stdout.write(re.sub(r" +(?=\n)", "", text))

    def flush(self) -> None:
        sys.stdout.flush()


def say(line: str) -> None:
    """Print a line on stderr."""
    stderr().print(printable(line), markup=False)


def announce(
    spec_of: Callable[[Options], CompareSpec | FindSpec], options: Options, given: Options
) -> None:
    """Name the code that is about to run because a run or a `--config` file names it."""
    with names_alone():
        spec = spec_of({**options, "batch_size": 1})  # `all` would have to read the data
    recipes = getattr(spec, "recipes", (spec.recipe,))
    names = dict.fromkeys(own_names(recipes, getattr(spec, "trained", ())))
    if foreign := [name for name in names if name not in str(given)]:
        words = f"lrbench: running code named by a file: {', '.join(foreign)}"
        typer.echo(printable(words), err=True)


@contextmanager
def reading(name: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that appears immediately: loading torch takes seconds, and so may reading a
    dataset."""
    from rich.progress import Progress

    console = stderr()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task, words = bar.add_task("starting", total=None), f"reading {printable(name)}"
        yield lambda done, total: bar.update(task, description=words, completed=done, total=total)


def as_json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def notify(notices: Iterable[Notice]) -> None:
    """Print each warning once, on stderr."""
    console = stderr()
    for notice in dict.fromkeys(notices):
        console.print(Text("warning: ", style="yellow") + Text(printable(str(notice))))
