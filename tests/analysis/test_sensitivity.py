import itertools
import math

import numpy as np
import pytest

from lrbench.analysis import Question
from lrbench.analysis.frames import in_order, trials_frame
from lrbench.analysis.sensitivity import (
    Grid,
    expected_best,
    grids,
    loss_above_best,
    sensitivity_frame,
    width_within_a_point,
)
from lrbench.plan.choice import Tuned, choose
from lrbench.records import History
from tests.analysis.made import finals, tuned


def only(trials: list[History]) -> Grid:
    (grid,) = grids(trials_frame(in_order(trials, Question()), None), Question()).values()
    return grid


def test_the_loss_above_the_best_is_capped_at_the_untrained_loss() -> None:
    """Losses are 2(1 - accuracy): 0.4, 0.2 and, diverged, the untrained model's 2."""
    grid = only(tuned("cosine", {0.1: 0.8, 0.2: 0.9, 0.4: None}))
    assert loss_above_best(grid) == pytest.approx((0.4 + 0.2 + 2.0) / 3 - 0.2)


def test_the_width_is_an_unbroken_range_around_the_best() -> None:
    assert width_within_a_point(only(tuned("c", {1: 0.895, 2: 0.9, 4: 0.893, 8: 0.8}))) == 4
    assert width_within_a_point(only(tuned("c", {1: 0.895, 2: 0.5, 4: 0.9, 8: None}))) == 1
    assert width_within_a_point(only(tuned("c", {1: 0.89, 2: 0.9}))) == 2


def test_one_lr_tells_nothing() -> None:
    grid = only(finals({"cosine": [0.9, 0.8]}))
    assert math.isnan(loss_above_best(grid)) and math.isnan(width_within_a_point(grid))


def test_tuning_trials_count_and_finals_only_without_them() -> None:
    trials = [
        *tuned("cosine", {0.1: 0.8, 0.2: None}),
        *finals({"cosine": [0.9, 0.9], "linear": [0.7, None]}),
    ]
    frame = sensitivity_frame(trials_frame(trials, None), Question())
    expected = [["cosine", 0.1, 1, 0], ["cosine", 0.2, 0, 1], ["linear", 0.1, 1, 1]]
    assert frame[["schedule", "lr", "n", "failed"]].values.tolist() == expected
    np.testing.assert_equal(frame["val_accuracy_mean"].tolist(), [0.8, math.nan, 0.7])


def test_it_says_how_each_lr_was_judged_and_which_was_chosen() -> None:
    values = {0.1: 0.96, 0.2: 0.2}
    pairs = enumerate(values.items())
    rows = [Tuned("cosine", place, lr, 0, value, 1 - value) for place, (lr, value) in pairs]
    choice = choose(rows, 0.1)["cosine"]
    trials = [*tuned("cosine", values), *finals({"cosine": [0.9], "linear": [0.7]})]
    budget, size = trials[0].spec.epochs, trials[0].spec.recipe.batch_size
    question = Question(choices={("cosine", budget, size): choice})
    frame = sensitivity_frame(trials_frame(trials, None), question)
    assert frame["chosen"].tolist() == [True, False, True]
    assert frame["collapsed"].tolist() == [0, 1, 0]
    assert frame["risk"].tolist()[:2] == [each.risk for each in choice.candidates]
    assert frame["score"].tolist()[:2] == [each.score for each in choice.candidates]
    assert frame["curve"].isna().tolist() == [False, True, True]
    assert not sensitivity_frame(trials_frame(trials, None), Question())["chosen"][:2].any()


@pytest.mark.parametrize("draws", [1, 2, 4])
def test_the_expected_best_is_the_mean_over_all_draws(draws: int) -> None:
    values = np.array([0.91, 0.5, 0.97, 0.94])
    every = [max(some) for some in itertools.product(values, repeat=draws)]
    assert expected_best(values, draws) == pytest.approx(np.mean(every))
