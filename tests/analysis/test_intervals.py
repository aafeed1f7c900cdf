import numpy as np
import pytest
from scipy import stats

from lrbench.analysis.intervals import compare_pairs, rate_bound, t_intervals


def test_equals_scipys_paired_t_test_over_the_seeds_that_both_have() -> None:
    values = np.random.default_rng(0).normal(0.9, 0.01, (6, 4))
    values[1, 0] = values[4, 1] = np.nan
    pairs = compare_pairs(values)
    for i in range(4):
        for j in set(range(4)) - {i}:
            theirs = stats.ttest_rel(values[:, i], values[:, j], nan_policy="omit")
            assert pairs.p[i, j] == pytest.approx(theirs.pvalue, rel=1e-10)
            assert pairs.n[i, j] == np.isfinite(values[:, i] - values[:, j]).sum()


def test_one_common_seed_is_no_test() -> None:
    pairs = compare_pairs(np.array([[0.9, 0.5], [np.nan, 0.6]]))
    assert np.isnan(pairs.p[0, 1]) and np.isnan(pairs.sd[0, 1])
    assert pairs.mean[0, 1] == pytest.approx(0.4)


def test_differences_that_are_all_zero_are_an_exact_tie() -> None:
    column = np.array([0.91, 0.92, 0.9])
    pairs = compare_pairs(np.stack([column, column], axis=1), floor=1e-3)
    assert pairs.equal[0, 1] and pairs.p[0, 1] == 1
    assert pairs.mean[0, 1] == pairs.sd[0, 1] == 0


def test_the_interval_of_two_that_are_told_apart_ends_at_0() -> None:
    levels = np.array([0.5, 0.0, -0.2])
    mean, sd, n = levels[:, None] - levels, np.full((3, 3), 0.4), np.full((3, 3), 5.0)
    apart = np.zeros((3, 3), dtype=bool)
    plain = t_intervals(mean, sd, n, apart, np.array(0.05 / 3))
    apart[0, 1] = apart[1, 0] = True
    told = t_intervals(mean, sd, n, apart, np.array(0.05 / 3))
    assert plain.low[0, 1] < 0 == told.low[0, 1] == told.high[1, 0]
    assert told.low[0, 2] == plain.low[0, 2]


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


@pytest.mark.parametrize(("count", "of"), [(0, 6), (1, 20), (19, 20), (3, 3)])
def test_rate_bound_is_clopper_pearsons(count: int, of: int) -> None:
    exact = stats.binomtest(count, of, alternative="less").proportion_ci(0.95).high
    assert rate_bound(count, of) == pytest.approx(exact)
