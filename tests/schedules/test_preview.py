"""A schedule at a glance."""

import pytest

from lrbench.schedules import parse
from lrbench.schedules.preview import sparkline


def test_sparkline_goes_from_the_first_value_to_the_last() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], width=8) == "▁▂▃▄▅▆▇█"
    line = sparkline(parse("linear").table(lr=1.0, steps=1000, steps_per_epoch=10))
    assert len(line) == 24
    assert line[0] == "█" and line[-1] == "▁"
    assert list(line) == sorted(line, reverse=True)
    assert sparkline([0.0] * 99 + [1.0], width=10) == "▁" * 9 + "█"


@pytest.mark.parametrize("values", [[], [0.0], [1.0], [0.0, 0.0]])
def test_sparkline_of_little(values: list[float]) -> None:
    assert len(sparkline(values)) == len(values)
