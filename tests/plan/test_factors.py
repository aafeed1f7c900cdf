"""LR factors from the convex bound: published values, and the bound term by term."""

from __future__ import annotations

import math

import pytest

from lrbench.plan.factors import bound_terms, centre, lr_factor
from lrbench.schedules import parse


@pytest.mark.parametrize(
    ("spec", "factor"),
    [
        ("constant", 1.0),
        ("linear", 2.9),
        ("cosine", 2.9),
        ("step", 3.0),
        ("constant(80%) + linear", 1.5),
    ],
)
def test_factors_of_a_usual_run(spec: str, factor: float) -> None:
    table = parse(spec).table(lr=1, steps=1200, steps_per_epoch=400)
    assert lr_factor(table) == pytest.approx(factor, abs=0.06)


def test_bound_is_its_double_sum() -> None:
    table = [0.5, 1.0, 0.7, 0.2]
    total = sum(table)
    late = sum(
        table[k] / sum(table[k + 1 :]) * sum(x * x for x in table[k:]) / sum(table[k:])
        for k in range(3)
    )
    distance, noise = bound_terms(table)
    assert distance == pytest.approx(1 / (2 * total))
    assert noise == pytest.approx(sum(x * x for x in table) / (2 * total) + late / 2)


def test_scale_and_trailing_zeros() -> None:
    table = [1 - step / 100 for step in range(100)]
    assert lr_factor([2 * lr for lr in table]) == pytest.approx(lr_factor(table) / 2)
    assert bound_terms([*table, 0.0, 0.0]) == bound_terms(table)
    assert lr_factor(table, most=2.0) == 2.0
    with pytest.raises(ValueError, match="positive"):
        lr_factor([0.0, 0.0])


def test_the_factor_minimises_the_bound() -> None:
    distance, noise = bound_terms([1 - step / 100 for step in range(100)])
    best = math.sqrt(distance / noise)
    assert all(
        distance / lr + lr * noise > 2 * math.sqrt(distance * noise) for lr in (best / 2, best * 2)
    )


def test_grids_are_centred_below_what_is_stable() -> None:
    assert centre(0.01, 2.9, None) == pytest.approx(0.029)
    assert centre(0.01, 2.9, 0.02) == pytest.approx(0.02)
    assert centre(0.01, 2.9, 0.02, headroom=1.2) == pytest.approx(0.024)
