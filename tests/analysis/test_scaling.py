"""The power law of the best LR on simulated optima whose exponent is known."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lrbench.analysis.corrections import Floats
from lrbench.analysis.scaling import Law, Optimum, law_lines, laws_of, line_through, optimum
from tests.analysis.made import GRID, lengths, tried

SIZES = (1, 2, 4, 8)


def test_an_error_is_the_spread_of_the_optima() -> None:
    rng = np.random.default_rng(0)
    found = [optimum(1, GRID, tried(rng, 0.08, 0.003, 3)) for _ in range(300)]
    logs = np.log([each.lr for each in found if not each.why])
    errors = [each.error for each in found if not each.why]
    assert np.median(errors) == pytest.approx(logs.std(), rel=0.25)
    assert logs.mean() == pytest.approx(math.log(0.08), abs=0.15)


def test_a_line_has_the_interval_of_a_regression_where_the_points_scatter() -> None:
    x, y = np.log([1, 2, 4, 8]), np.array([0.3, -0.5, 0.1, -1.2])
    points = [Optimum(2**i, math.exp(v), 0.01) for i, v in enumerate(y)]
    line, other = line_through(points), stats.linregress(x, y)
    assert line.exponent == pytest.approx(other.slope)
    half = stats.t.ppf(0.975, 2) * other.stderr
    assert line.interval == pytest.approx((other.slope - half, other.slope + half))


def test_points_on_a_line_still_have_their_errors() -> None:
    line = line_through([Optimum(size, size**-0.5, 0.1) for size in (1, 2, 4)])
    spread = np.log([1, 2, 4])
    half = stats.norm.ppf(0.975) * 0.1 / math.sqrt(((spread - spread.mean()) ** 2).sum())
    assert line.interval == pytest.approx((-0.5 - half, -0.5 + half))
    assert line.at(16)[0] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        (np.log(GRID)[:, None] + [0, 0.1], "above the highest"),
        (-np.log(GRID)[:, None] + [0, 0.1], "below the lowest"),
        (np.random.default_rng(1).normal(0, 1, (8, 2)), "no peak"),
        (-(np.log(GRID / 0.08)[:, None] ** 2), "one tuning seed"),
        (np.full((8, 2), np.nan), "nothing trained"),
    ],
)
def test_what_is_no_optimum_says_why(scores: Floats, why: str) -> None:
    found = optimum(4, GRID, scores)
    assert why in found.why and math.isnan(found.error)


def test_next_to_a_cliff_an_optimum_is_known_to_within_a_step() -> None:
    scores = tried(np.random.default_rng(0), 0.08, 1e-5)
    scores[4:] = np.nan
    found = optimum(1, GRID, scores)
    assert not found.why and found.lr == pytest.approx(0.08, rel=0.1)
    assert found.error == pytest.approx(math.log(2) / math.sqrt(3), rel=0.01)


def test_a_comparison_says_its_law_in_one_line() -> None:
    summary = lengths({epochs: 0.1 * epochs**-0.4 for epochs in SIZES})
    (law,), said = summary.laws, summary.certainty
    assert len(summary.scaling) == 1 and law.line is not None
    assert law.line.interval[0] < -0.4 < law.line.interval[1] < 0
    assert "The best LR of cosine falls as epochs^-0." in said
    assert law.line.at(32)[1] < 0.025 < law.line.at(32)[2] and "at 32 epochs take 0.02" in said


def test_what_cannot_be_defended_has_no_number() -> None:
    summary = lengths({1: 0.08, 2: 0.08, 4: 5.0})
    said = summary.certainty
    assert summary.laws[0].line is None and "^" not in said
    assert "cannot be said: 2 of the 3 optima needed; above the highest LR tried" in said


def test_a_batch_size_is_held_against_the_rules_of_thumb() -> None:
    points = tuple(Optimum(size, size**0.5, 0.1) for size in (32, 64, 128, 256))
    law = Law("cosine", "batch size", 3, 32, points, line_through(points), "", 512)
    assert law.rules == {"square-root rule": True, "linear rule": False}
    line = (
        "The best LR of cosine rises as batch^0.50 (95 %: 0.37 to 0.63), which leaves open the "
        "square-root rule and contradicts the linear rule: at batch 512 take 23 (18 to 29)."
    )
    other, unknown = replace(law, schedule="step"), replace(law, line=None, why="too few")
    rest = [replace(unknown, schedule=name) for name in ("linear", "constant")]
    names = ["step", "constant", "cosine", "linear"]
    assert list(law_lines([law, rest[0], other, rest[1]], names, 0.95)) == [
        line.replace("cosine", "step"),
        line,
        "How the best LR of constant and linear moves with the batch size cannot be said: fewer "
        "than 3 optima each, and scaling.csv says why.",
    ]
    assert next(law_lines([unknown], names, 0.95)).endswith("cannot be said: too few.")


def test_two_lengths_are_drawn_but_not_spoken_of() -> None:
    summary = lengths({1: 0.08, 2: 0.08})
    assert len(summary.laws[0].optima) == 2 and "best LR of" not in summary.certainty


@pytest.mark.parametrize("finals", [True, False])
def test_of_several_weight_decays_a_law_is_that_of_the_one_that_is_taken(finals: bool) -> None:
    summary = lengths({epochs: 0.1 * epochs**-0.4 for epochs in SIZES})
    trials = summary.trials if finals else summary.trials[summary.trials["stage"] == "tune"]
    other = trials[trials["stage"] == "tune"].assign(weight_decay=0.5, val_accuracy=0.1)
    (law,) = laws_of(pd.concat([trials, other]), summary.question)
    assert law.line is not None and summary.laws[0].line is not None
    assert law.line.exponent == pytest.approx(summary.laws[0].line.exponent)
