"""Progress of a range test, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lrbench.rangetest.result import FindProgress, FindResult

TITLES = {"sweep": "sweep", "verify": "check by training", "stability": "largest stable LR"}

Show = Callable[[FindProgress | FindResult], None]


@contextmanager
def find_bar(*, quiet: bool = False) -> Iterator[Show]:
    """A bar for each stage: `with find_bar() as show: show(event)`."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    bar = Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[now]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
    rows: dict[str, TaskID] = {}

    def show(event: FindProgress | FindResult) -> None:
        if not isinstance(event, FindProgress):
            return
        row = f"{TITLES[event.stage]}{event.part and ', '}{event.part}"
        if row not in rows:
            rows[row] = bar.add_task(row, total=event.total, now="")
        loss = "diverged" if event.loss is None else f"loss {event.loss:.3f}"
        now = f"lr {event.lr:.1e} {loss}"
        bar.update(rows[row], total=event.total, completed=event.done, now=now)

    with bar:
        yield show
