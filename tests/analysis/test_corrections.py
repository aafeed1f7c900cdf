"""Closed tests over all pairs: against brute force, published numbers, scipy."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis.corrections import (
    Floats,
    adjusted_all_pairs,
    bergmann_hommel,
    equal_counts,
    equivalence_p,
    exhaustive_sets,
    holm,
    shaffer,
    transitive,
)
from lrbench.analysis.verdicts import judge


def square(upper: Floats, k: int) -> Floats:
    matrix = np.full((k, k), np.nan)
    matrix[np.triu_indices(k, 1)] = upper
    return np.where(np.isfinite(matrix), matrix, matrix.T)


def closed_by_hand(p: Floats, k: int) -> Floats:
    """Every intersection of pair hypotheses, tested by Bonferroni over all pairs that it implies;
    the adjusted p of a pair is the largest over the intersections that it is part of."""
    pairs = list(itertools.combinations(range(k), 2))
    adjusted = np.zeros(len(pairs))
    for size in range(1, len(pairs) + 1):
        for chosen in itertools.combinations(range(len(pairs)), size):
            group = list(range(k))
            for i in chosen:
                a, b = pairs[i]
                group = [group[a] if g == group[b] else g for g in group]
            implied = [i for i, (a, b) in enumerate(pairs) if group[a] == group[b]]
            value = min(1.0, len(implied) * min(p[implied]))
            for i in implied:
                adjusted[i] = max(adjusted[i], value)
    return adjusted


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("k", [2, 3, 4])
def test_bergmann_hommel_is_the_closed_test(k: int, seed: int) -> None:
    p = np.random.default_rng(seed).random(k * (k - 1) // 2) ** (1 + seed % 3)
    np.testing.assert_allclose(bergmann_hommel(p, k), closed_by_hand(p, k), rtol=1e-12)


def test_published_counts() -> None:
    assert [len(exhaustive_sets(k)) for k in range(3, 10)] == [4, 14, 51, 202, 876, 4139, 21146]
    possible = equal_counts(5)
    factors = [max(c for c in possible if c <= 10 - done) for done in range(10)]
    assert factors == [10, 6, 6, 6, 6, 4, 4, 3, 2, 1]


def test_published_comparison() -> None:
    """The mean ranks of five classifiers on 30 datasets, and what is published of their comparison
    (Garcia and Herrera 2008: C4.5, 1-NN, naive Bayes, Kernel, CN2)."""
    ranks = np.array([63.0, 97.5, 66.0, 130.0, 93.5]) / 30
    z = np.abs(ranks[:, None] - ranks)[np.triu_indices(5, 1)] / math.sqrt(5 * 6 / (6 * 30))
    p = 2 * stats.norm.sf(z)
    np.testing.assert_allclose(np.sort(p)[[0, 3, 6]], [4.487e-8, 0.004849, 0.012763], rtol=2e-3)
    rejected = [int((method <= 0.05).sum()) for method in (holm(p), shaffer(p, 5))]
    assert rejected == [5, 6]
    assert (bergmann_hommel(p, 5) <= 0.05).sum() == 8


def test_shaffer_stands_in_above_nine() -> None:
    p = np.random.default_rng(0).random(45) ** 4
    np.testing.assert_array_equal(adjusted_all_pairs(square(p, 10)), square(shaffer(p, 10), 10))


@pytest.mark.parametrize("k", [4, 10])
def test_pairs_without_a_test_are_no_part_of_the_family(k: int) -> None:
    p = np.full(k * (k - 1) // 2, np.nan)
    p[0], p[-1] = 0.02, 0.03  # two pairs that share no schedule
    adjusted = adjusted_all_pairs(square(p, k))
    assert np.isnan(adjusted[0, 2])
    assert adjusted[0, 1] == adjusted[1, 0] == pytest.approx(0.04)


def test_claims_are_closed_under_transitivity() -> None:
    better = np.zeros((4, 4), dtype=bool)
    better[0, 1] = better[1, 2] = better[2, 3] = True
    np.testing.assert_array_equal(transitive(better), np.triu(np.ones((4, 4), dtype=bool), 1))


def test_exactly_equal_ones_are_equivalent_within_any_margin() -> None:
    zero = np.zeros((2, 2))
    assert equivalence_p(zero, zero, np.full((2, 2), 5.0), 0.001)[0, 1] == 0


def test_equality_is_corrected_for_all_pairs() -> None:
    """Holm by hand over scipy's two one-sided tests; some runs would say more without it."""
    sides, differ = ((-0.0016, "greater"), (0.0016, "less")), 0
    for values in np.random.default_rng(4).normal(0.9, 0.001, (30, 6, 3)):
        pairs = ((0, 1), (0, 2), (1, 2))
        gaps = np.stack([values[:, i] - values[:, j] for i, j in pairs], axis=1)
        tests = [stats.ttest_1samp(gaps, end, alternative=side) for end, side in sides]
        p = np.max([test.pvalue for test in tests], axis=0)
        told, order = np.zeros(3, dtype=bool), np.argsort(p)
        for left, place in zip((3, 2, 1), order, strict=True):
            if p[place] > 0.05 / left:
                break
            told[place] = True
        equal = judge(values, 0.0, 0.05, 1, margin=0.0016).equal
        assert equal is not None
        assert [equal[i, j] for i, j in pairs] == told.tolist()
        differ += (p <= 0.05).tolist() != told.tolist()
    assert differ
