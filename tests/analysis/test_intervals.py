import math

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis.intervals import compare_pairs, rate_bound, sd_floor, t_intervals


def test_equals_scipys_paired_t_test() -> None:
    values = np.random.default_rng(0).normal(0.9, 0.01, (6, 4))
    pairs = compare_pairs(values)
    for i in range(4):
        for j in set(range(4)) - {i}:
            theirs = stats.ttest_rel(values[:, i], values[:, j])
            assert pairs.p[i, j] == pytest.approx(theirs.pvalue, rel=1e-10)
            assert pairs.n[i, j] == 6


def test_takes_only_the_seeds_that_both_have() -> None:
    values = np.random.default_rng(1).normal(0.9, 0.01, (5, 2))
    values[1, 0] = values[4, 1] = np.nan
    pairs = compare_pairs(values)
    kept = values[[0, 2, 3]]
    assert pairs.n[0, 1] == 3
    assert pairs.p[0, 1] == pytest.approx(stats.ttest_rel(kept[:, 0], kept[:, 1]).pvalue)


def test_one_common_seed_is_no_test() -> None:
    pairs = compare_pairs(np.array([[0.9, 0.5], [np.nan, 0.6]]))
    assert np.isnan(pairs.p[0, 1]) and np.isnan(pairs.sd[0, 1])
    assert pairs.mean[0, 1] == pytest.approx(0.4)


def test_differences_that_are_all_zero_are_an_exact_tie() -> None:
    column = np.array([0.91, 0.92, 0.9])
    pairs = compare_pairs(np.stack([column, column], axis=1), floor=1e-3)
    assert pairs.equal[0, 1] and pairs.p[0, 1] == 1
    assert pairs.mean[0, 1] == pairs.sd[0, 1] == 0


def test_the_sd_is_floored() -> None:
    """Three seeds, each one image of 1,000 better: the rounding alone could have done that."""
    column = np.array([0.91, 0.92, 0.9])
    values = np.stack([column + 0.001, column], axis=1)
    floor = 0.001 / np.sqrt(6)
    pairs = compare_pairs(values, floor)
    t = 0.001 / (floor / np.sqrt(3))
    assert pairs.sd[0, 1] == pytest.approx(floor)
    assert pairs.p[0, 1] == pytest.approx(2 * stats.t.sf(t, 2))
    assert compare_pairs(values).p[0, 1] < 1e-6


def test_floor_is_the_sd_of_a_difference_of_two_rounded_accuracies() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 100, (2, 200_000))
    rounding = (np.round(x) - x) - (np.round(y) - y)
    assert sd_floor(1000) == pytest.approx(rounding.std() / 1000, rel=0.01)


def test_intervals_are_bonferronis_and_agree_with_the_verdict() -> None:
    levels = np.array([0.5, 0.0, -0.2])
    mean, sd, n = levels[:, None] - levels, np.full((3, 3), 0.4), np.full((3, 3), 5.0)
    none = np.zeros((3, 3), dtype=bool)
    level = np.array(0.05 / 3)
    np.fill_diagonal(n, np.nan)
    interval = t_intervals(mean, sd, n, none, level)
    error = 0.4 / math.sqrt(5)
    half = stats.t.ppf(1 - 0.025 / 3, 4) * error
    assert (interval.low[0, 1], interval.high[0, 1]) == pytest.approx((0.5 - half, 0.5 + half))
    assert interval.within[1, 0] == pytest.approx(0.5 + half)
    assert np.isnan(interval.low[0, 0])
    better = none.copy()
    better[0, 1] = True
    assert interval.low[0, 1] < 0
    told = t_intervals(mean, sd, n, better | better.T, level)
    assert told.low[0, 1] == 0 == told.high[1, 0] and told.low[0, 2] == interval.low[0, 2]


@pytest.mark.parametrize(("count", "of"), [(0, 6), (1, 20), (19, 20), (3, 3)])
def test_rate_bound_is_clopper_pearsons(count: int, of: int) -> None:
    exact = stats.binomtest(count, of, alternative="less").proportion_ci(0.95).high
    assert rate_bound(count, of) == pytest.approx(exact)
