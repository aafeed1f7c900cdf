"""Racing: its boundaries against published ones, and a race that resuming does not change."""

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis.corrections import Floats
from lrbench.analysis.racing import (
    LEVELS,
    Looks,
    Race,
    boundaries,
    nominal_levels,
    race,
    sequential_p,
    spending,
)
from lrbench.analysis.verdicts import judge

LOOKS = spending((5, 8, 12, 20), race=True)
GROWN = spending((5, 12, 20), race=False)


def finals(seeds: int = 20, gap: float = 0.0, k: int = 4) -> Floats:
    rng = np.random.default_rng(7)
    shared = rng.standard_normal((seeds, 1))
    return np.asarray(shared + 0.1 * rng.standard_normal((seeds, k)) - gap * np.arange(k))


def run(values: Floats, looks: Looks = LOOKS) -> Race:
    return race(values, np.ones(values.shape, dtype=bool), looks, 0.05)


def test_boundaries_are_the_published_ones_for_linear_spending() -> None:
    """Five equal looks, two-sided 5 %, spending in proportion to time (Lan and DeMets 1983 and
    Kim and DeMets 1987 print z = 2.58, 2.49, 2.41, 2.34, 2.28)."""
    looks = Looks((4, 8, 12, 16, 20), (0.2, 0.4, 0.6, 0.8, 1.0))
    levels = [np.interp(0.05, LEVELS, row) for row in boundaries(looks)]
    z = stats.norm.isf(np.array(levels) / 2)
    np.testing.assert_allclose(z, [2.58, 2.49, 2.41, 2.34, 2.28], atol=0.02)


def test_one_look_that_spends_all_changes_no_p() -> None:
    p = np.array([0.03, np.nan, 0.5])
    np.testing.assert_array_equal(sequential_p(p, 0, Looks((5,), (1.0,))), p)


def test_growing_always_leaves_some_error_to_spend() -> None:
    assert GROWN.shares == (0.8, 0.96, 0.992)
    assert spending((5,), race=False) == Looks((5,), (1.0,))


def test_lower_is_better_turns_the_claims_round() -> None:
    values = finals(gap=1.0)
    turned = race(-values, np.ones(values.shape, dtype=bool), LOOKS, 0.05, direction=-1)
    np.testing.assert_array_equal(turned.better, run(values).better)


def test_nominal_levels_are_where_the_sequential_p_is_alpha() -> None:
    for looks in (LOOKS, GROWN):
        for look, level in enumerate(nominal_levels(0.01, looks)):
            assert sequential_p(np.array([level]), look, looks)[0] == pytest.approx(0.01, rel=0.01)
    assert nominal_levels(0.01, spending((5,), race=False)).tolist() == [0.01]


def test_in_a_run_that_grew_nobody_leaves_and_early_claims_stand() -> None:
    values = finals(gap=1.0)
    late = values.copy()
    late[5:] = values[5:, ::-1]
    result = run(late, GROWN)
    assert result.alive.all() and result.looked == 3 and result.wanted.tolist() == [20] * 4
    assert result.better[0, 3]


def test_growing_does_not_make_claims_out_of_nothing() -> None:
    """Two equal schedules: at most 5 % are told apart over three looks; about 10 % uncorrected."""
    rng = np.random.default_rng(3)
    told = [run(values, GROWN).better.any() for values in rng.standard_normal((2000, 20, 2))]
    assert np.mean(told) < 0.065


def test_p_values_of_the_last_look_hold_over_all() -> None:
    result = run(finals(gap=0.12))
    p = np.full((4, 4), 0.01)
    for look in range(4):
        there = result.last == look
        expected = sequential_p(np.array([0.01]), look, LOOKS)[0]
        assert np.all(result.valid(p)[there] == expected)
    assert len(np.unique(result.last)) > 1


def test_intervals_are_at_the_levels_of_the_looks_at_which_pairs_were_last_tested() -> None:
    values = finals(gap=0.12)
    course = run(values)
    values = np.where(np.arange(20)[:, None] < course.wanted, values, np.nan)
    intervals = judge(values, 0.0, 0.05, 1, course=course).intervals
    for i, j in ((0, 1), (0, 3)):
        level = nominal_levels(0.05 / 6, LOOKS)[course.last[i, j]]
        gap = (values[:, i] - values[:, j])[: LOOKS.seeds[course.last[i, j]]]
        half = stats.t.ppf(1 - level / 2, len(gap) - 1) * stats.sem(gap)
        assert intervals.high[i, j] == pytest.approx(gap.mean() + half)
        assert level < 0.05 / 6
