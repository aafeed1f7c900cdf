import numpy as np
import pytest
from scipy import stats

from lrbench.analysis.differences import compare_pairs


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
    assert pairs.equal[0, 1]
    assert pairs.p[0, 1] == 1
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
