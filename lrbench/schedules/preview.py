"""A schedule at a glance: a line of bars."""

from __future__ import annotations

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


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


def _spread(column: int, columns: int, values: int) -> int:
    """The value that a column shows: the first to the last, evenly."""
    return 0 if columns < 2 else column * (values - 1) // (columns - 1)
