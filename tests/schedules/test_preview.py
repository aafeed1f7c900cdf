"""A schedule at a glance."""

from __future__ import annotations

import pytest

from lrbench.schedules import parse
from lrbench.schedules.preview import preview, sparkline, value_rows


def test_sparkline_goes_from_the_first_value_to_the_last() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], width=8) == "▁▂▃▄▅▆▇█"
    line = preview(parse("linear"))
    assert len(line) == 24
    assert line[0] == "█" and line[-1] == "▁"
    assert list(line) == sorted(line, reverse=True)


def test_the_last_bar_is_the_last_value() -> None:
    assert sparkline([0.0] * 99 + [1.0], width=10) == "▁" * 9 + "█"


@pytest.mark.parametrize("values", [[], [0.0], [1.0], [0.0, 0.0]])
def test_sparkline_of_little(values: list[float]) -> None:
    assert len(sparkline(values)) == len(values)


def test_rows_at_shares_of_the_run() -> None:
    rows = value_rows(parse("linear"), lr=1.0, steps=200, steps_per_epoch=10)
    assert [(percent, step) for percent, step, _ in rows] == [
        (0, 0), (5, 10), (25, 50), (50, 100), (75, 150), (100, 199),
    ]  # fmt: skip
    assert [lr for *_, lr in rows] == pytest.approx([1, 0.95, 0.75, 0.5, 0.25, 0.005])


def test_rows_of_a_run_of_one_step() -> None:
    rows = value_rows(parse("cosine"), lr=1.0, steps=1, steps_per_epoch=1)
    assert {step for _, step, _ in rows} == {0}
