"""Ranges instead of points: do they hold what they promise?"""

import math

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis.evidence import (
    at_chance,
    detectable_difference,
    detectable_range,
    effect_range,
    image_error,
    power_of,
    seeds_range,
)


@pytest.mark.parametrize(("mean", "n"), [(1.0, 6), (-0.7, 12), (0.1, 5)])
def test_effect_range_inverts_the_noncentral_t(mean: float, n: int) -> None:
    low, high = effect_range(mean, 1.0, n)
    t = abs(mean) * math.sqrt(n)
    assert stats.nct.cdf(t, n - 1, high * math.sqrt(n)) == pytest.approx(0.1, abs=1e-6)
    if low:
        assert stats.nct.cdf(t, n - 1, low * math.sqrt(n)) == pytest.approx(0.9, abs=1e-6)
    else:
        assert stats.t.cdf(t, n - 1) <= 0.9


def test_seeds_range_is_of_the_ends_of_the_effect() -> None:
    fewest, most = seeds_range(1.0, 1.0, 6, 0.05) or (0, None)
    low, high = effect_range(1.0, 1.0, 6)
    assert most is not None
    for seeds, effect in ((fewest, high), (most, low)):
        assert power_of(effect, 1.0, seeds, 0.05) >= 0.8 > power_of(effect, 1.0, seeds - 1, 0.05)


def test_no_upper_end_where_the_difference_may_be_none() -> None:
    found = seeds_range(0.2, 1.0, 6, 0.05)
    assert found is not None and found[1] is None
    assert seeds_range(0.0, 1.0, 6, 0.05) is None
    assert seeds_range(1.0, 1.0, 1, 0.05) is None


def test_the_detectable_range_is_from_the_quietest_to_the_noisiest_pair() -> None:
    found = detectable_range(np.array([0.1, 0.3, 0.7, np.nan]), 5, 0.05)
    ends = [detectable_difference(sd, 5, 0.05) for sd in (0.1, 0.7)]
    assert found is not None and list(found) == pytest.approx(ends)
    assert detectable_range(np.array([0.1]), 1, 0.05) is None


def test_image_error_is_that_of_drawing_other_images() -> None:
    """Of which 2 % only A gets right, and 1 % only B."""
    error = image_error(0.04, 0.05, 1000, differ=0.03)
    assert error == pytest.approx(math.sqrt((0.02 + 0.01 - (0.02 - 0.01) ** 2) / 1000))
    assert image_error(0.04, 0.05, 1000) > error


def test_a_binary_task_that_learnt_something_is_not_at_chance() -> None:
    assert at_chance(0.5, 2, 1000)
    assert not at_chance(0.65, 2, 1000)
