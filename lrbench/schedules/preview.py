"""A schedule at a glance: a line of bars."""

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
    places = [column * (len(values) - 1) // max(1, count - 1) for column in range(count)]
    return "".join(BARS[round(values[place] / highest * (len(BARS) - 1))] for place in places)
