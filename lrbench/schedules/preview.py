"""A schedule at a glance: a line of bars, and the LR at a few points of the run."""

from __future__ import annotations

from collections.abc import Sequence

from lrbench.schedules.base import Schedule

BARS = "▁▂▃▄▅▆▇█"
PERCENTS = (0, 5, 25, 50, 75, 100)


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The values as `width` bars between 0 and their highest.

    >>> sparkline([0, 1, 2, 3], width=4)
    '▁▃▆█'
    """
    count = min(width, len(values))
    highest = max(values, default=0.0)
    if highest <= 0:
        return BARS[0] * count
    places = [_spread(column, count, len(values)) for column in range(count)]
    return "".join(BARS[round(values[place] / highest * (len(BARS) - 1))] for place in places)


def value_rows(
    schedule: Schedule,
    *,
    lr: float,
    steps: int,
    steps_per_epoch: int,
    percents: Sequence[int] = PERCENTS,
) -> list[tuple[int, int, float]]:
    """(percent of the run, step, LR); 100 % is the last step.

    >>> from lrbench.schedules import parse
    >>> value_rows(parse("linear"), lr=1.0, steps=4, steps_per_epoch=4, percents=(0, 50, 100))
    [(0, 0, 1.0), (50, 2, 0.5), (100, 3, 0.25)]
    """
    bound = schedule.bind(lr, steps, steps_per_epoch)
    places = [min(steps - 1, percent * steps // 100) for percent in percents]
    return [(percent, step, bound.lr(step)) for percent, step in zip(percents, places, strict=True)]


def preview(schedule: Schedule, *, steps: int = 1000, width: int = 24) -> str:
    """The sparkline of a schedule over a run of 100 epochs and `steps` steps."""
    table = schedule.table(lr=1.0, steps=steps, steps_per_epoch=max(1, steps // 100))
    return sparkline(table, width)


def _spread(column: int, columns: int, values: int) -> int:
    """The value that a column shows: the first to the last, evenly."""
    return 0 if columns < 2 else column * (values - 1) // (columns - 1)
