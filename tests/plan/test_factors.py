"""LR factors from the convex bound: published values, and the bound term by term."""

import pytest

from lrbench.plan.factors import bound_terms, centre, largest_tried, lr_factor, peak_factor
from lrbench.schedules import parse


@pytest.mark.parametrize(
    ("spec", "factor"),
    [
        ("constant", 1),
        ("cosine", 2.9),
        ("step", 3),
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
    with pytest.raises(ValueError, match="positive"):
        lr_factor([0.0, 0.0])


def test_a_factor_is_that_of_the_highest_lr_and_hardly_one_of_the_length() -> None:
    noam, linear = parse("noam(d=512, warmup=10%)"), parse("linear")
    table = noam.table(lr=1, steps=300, steps_per_epoch=100)
    assert peak_factor(noam, 300, 100) == pytest.approx(
        lr_factor([lr / max(table) for lr in table])
    )
    assert peak_factor(linear, 100_000, 100) == pytest.approx(3, rel=0.1)


def test_a_decay_allows_half_of_what_is_stable_and_a_constant_lr_a_sixth() -> None:
    for factor, share in ((1.0, 1 / 6), (1.5, 0.25), (3.0, 0.5), (5.5, 0.5)):
        assert largest_tried(0.2, factor) == pytest.approx(0.2 * share)


def test_the_top_of_a_grid_is_below_what_is_stable() -> None:
    assert centre(0.01, 2.9) == 0.029
    assert centre(0.01, 2.9, 0.0199) == 0.019
    assert centre(0.01, 2.9, 0.0199, reach=2) == 0.0099
    assert centre(0.0012345, 1.0) == 0.0012


@pytest.mark.parametrize("steps", [6, 10, 20, 96])
def test_onecycle_is_centred_like_a_cosine_in_short_runs_too(steps: int) -> None:
    onecycle, cosine = (peak_factor(parse(name), steps, 2) for name in ("onecycle", "cosine"))
    assert 0.8 < onecycle / cosine < 1.25
