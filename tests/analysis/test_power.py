from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis import Question
from lrbench.analysis.power import detectable_difference, power_facts, power_of, seeds_needed
from lrbench.analysis.standing import standings
from tests.analysis.made import trials_of


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 15])
def test_power_equals_scipys_noncentral_t(n: int, alpha: float) -> None:
    noncentrality = 1.5 * np.sqrt(n)
    theirs = stats.nct.sf(stats.t.isf(alpha / 2, n - 1), n - 1, noncentrality)
    assert power_of(1.5, 1.0, n, alpha) == pytest.approx(theirs, rel=1e-6)


def test_power_is_how_often_a_simulated_difference_is_found() -> None:
    draws = np.random.default_rng(0).normal(1.5, 1.0, (20_000, 5))
    found = (stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05).mean()
    assert power_of(1.5, 1.0, 5, 0.05) == pytest.approx(found, abs=0.012)


def test_the_detectable_difference_is_found_with_that_power() -> None:
    difference = detectable_difference(0.004, 5, 0.01)
    assert difference is not None
    assert power_of(difference, 0.004, 5, 0.01) == pytest.approx(0.8, abs=1e-4)
    assert detectable_difference(0.004, 1, 0.05) is None
    assert detectable_difference(0.0, 5, 0.05) == 0.0


def test_the_fewest_seeds_are_enough_and_one_less_is_not() -> None:
    n = seeds_needed(0.001, 0.002, 0.05)
    assert n == 34
    assert power_of(0.001, 0.002, n, 0.05) >= 0.8 > power_of(0.001, 0.002, n - 1, 0.05)
    assert seeds_needed(0.0, 0.002, 0.05) is None
    assert seeds_needed(float("nan"), 0.002, 0.05) is None
    assert seeds_needed(1e-9, 1.0, 0.05) is None
    assert seeds_needed(0.1, 0.0, 0.05) == 2


def test_facts_of_a_standing() -> None:
    values = np.random.default_rng(3).normal(0.9, 0.01, (5, 3))
    (standing,) = standings(trials_of(values), Question(test_size=1000))
    facts = power_facts(standing)
    assert facts is not None
    assert (facts.n, facts.tests) == (5, 3)
    assert facts.detectable == detectable_difference(facts.sd, 5, 0.05 / 3)
    assert (facts.first, facts.second) == standing.names[:2]
    assert facts.observed == pytest.approx(-standing.verdicts.pairs.mean[1, 0])


def test_schedules_that_are_equal_are_not_said_to_find_any_difference() -> None:
    (standing,) = standings(trials_of(np.ones((3, 3))), Question(test_size=90))
    facts = power_facts(standing)
    assert facts is not None
    assert facts.sd == pytest.approx(1 / (90 * 12**0.5))
    assert facts.detectable is not None and facts.detectable > facts.sd


def test_one_seed_has_no_power_facts() -> None:
    (standing,) = standings(trials_of(np.array([[0.9, 0.8]])), Question())
    assert power_facts(standing) is None
