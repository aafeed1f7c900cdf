"""Figures from made rounds."""

from __future__ import annotations

import pytest

from lrbench.bench.figures import Ratio, Round, cpu_ratio, cpu_us_image, images_s, ratio


def rounds(*walls: float, cpu: float | None = 1.0) -> list[Round]:
    return [Round(wall, None if cpu is None else cpu * wall, 1000) for wall in walls]


def test_ratios_are_paired_by_round() -> None:
    """A machine that slows down for a round slows both: the ratio does not see it."""
    ours, theirs = rounds(1, 10, 1), rounds(2, 20, 2)
    assert ratio(ours, theirs) == Ratio(2.0, 2.0, 2.0)
    assert images_s(ours) == 1000.0


def test_median_and_range_over_rounds() -> None:
    found = ratio(rounds(1, 1, 1), rounds(3, 2, 4))
    assert found == Ratio(3.0, 2.0, 4.0)


def test_cpu_time_is_unknown_where_workers_load_the_data() -> None:
    assert cpu_ratio(rounds(1), rounds(1, cpu=None)) is None
    assert cpu_us_image(rounds(1, cpu=None)) is None
    assert cpu_ratio(rounds(1), rounds(1, cpu=2.0)) == Ratio(2.0, 2.0, 2.0)
    assert cpu_us_image(rounds(1)) == pytest.approx(1000.0)


@pytest.mark.parametrize(("median", "differs"), [(1.14, False), (1.16, True), (0.88, False),
                                                 (0.86, True)])  # fmt: skip
def test_below_15_percent_is_no_difference(median: float, differs: bool) -> None:
    assert Ratio(median, median, median).is_difference is differs
