"""What the commands share: consoles, notices, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lrbench.errors import Notice, printable

if TYPE_CHECKING:
    from rich.console import Console


def stderr() -> Console:
    """Where progress and warnings go."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    console.soft_wrap = not console.is_terminal  # one warning, one line, for whoever reads a pipe
    return console


def stdout() -> Console:
    """Where data goes."""
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def reading(name: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar, at once: loading torch takes seconds, and so may reading the images of a dataset."""
    from rich.progress import Progress

    console = stderr()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task, words = bar.add_task("starting", total=None), f"reading {printable(name)}"
        yield lambda done, total: bar.update(task, description=words, completed=done, total=total)


def as_json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def notify(notices: Iterable[Notice]) -> None:
    """Say each warning once, on stderr."""
    from rich.text import Text

    console = stderr()
    for notice in dict.fromkeys(notices):
        console.print(Text("warning: ", style="yellow") + Text(printable(str(notice))))
