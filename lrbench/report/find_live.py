"""Progress of a range test, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console

from lrbench.rangetest.result import FindProgress, FindResult
from lrbench.report.plan import watched

TITLES = {"sweep": "sweep", "verify": "check by training", "stability": "largest stable LR"}

Show = Callable[[FindProgress | FindResult], None]


@contextmanager
def find_bar(progress: bool | None = None, console: Console | None = None) -> Iterator[Show]:
    """A bar for each stage: `with find_bar() as show: show(event)`. With `progress` None, only on a
    terminal or in a notebook."""
    screen = console or Console(stderr=True, emoji=False)
    bar = bars.Progress(
        bars.TextColumn("{task.description:<18}"),
        bars.BarColumn(bar_width=20),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[now]}"),
        bars.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=screen,
        disable=not watched(progress, screen),
    )
    rows: dict[str, bars.TaskID] = {}

    def finish() -> None:
        """Fill the bars: a diverged sweep or a short search ends a stage early."""
        for task in bar.tasks:
            bar.update(task.id, total=task.completed)

    def show(event: FindProgress | FindResult) -> None:
        if not isinstance(event, FindProgress):
            return
        row = f"{TITLES[event.stage]}{event.part and ', '}{event.part}"
        if row not in rows:
            finish()
            rows[row] = bar.add_task(row, total=event.total, now="")
        loss = "diverged" if event.loss is None else f"loss {event.loss:.3f}"
        now = f"lr {event.lr:.1e} {loss}"
        bar.update(rows[row], total=event.total, completed=event.done, now=now)

    with bar:
        yield show
        finish()
