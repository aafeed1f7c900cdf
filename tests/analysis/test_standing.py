import math

import numpy as np
import pytest

from lrbench.analysis import Question
from lrbench.analysis.frames import trials_frame
from lrbench.analysis.standing import Standing, standings
from lrbench.records import History
from tests.analysis.made import finals, trials_of, tuned

WIDE = Question(test_size=10_000)


def of(trials: list[History], question: Question = WIDE) -> Standing:
    (standing,) = standings(trials_frame(trials, None), question)
    return standing


def noisy(means: dict[str, float], seeds: int = 5, sd: float = 0.001) -> Standing:
    rng = np.random.default_rng(0)
    values = np.array(list(means.values())) + rng.normal(0, sd, (seeds, len(means)))
    (standing,) = standings(trials_of(values, list(means)), WIDE)
    return standing


def test_best_first_and_who_is_told_apart() -> None:
    standing = noisy({"low": 0.8, "high": 0.9, "middle": 0.85, "high too": 0.9})
    assert set(standing.names[:2]) == {"high", "high too"}
    assert standing.names[2:] == ("middle", "low")
    first, second = standing.names[:2]
    assert standing.apart == (
        (first, ("middle", "low")),
        (second, ("middle", "low")),
        ("middle", ("low",)),
    )
    assert standing.verdicts.tests == 6 and standing.winner is None


def test_a_failed_seed_enters_no_mean_and_changes_no_rank() -> None:
    standing = of(
        finals({"best": [0.99, None, 0.99], "worst": [0.1, 0.1, 0.11], "good": [0.8, 0.81, 0.8]})
    )
    assert standing.names == ("best", "good", "worst")
    assert standing.failed.tolist() == [1, 0, 0]
    assert np.nanmean(standing.values[:, 0]) == pytest.approx(0.99)
    assert standing.verdicts.tests == 3


def test_one_lucky_survivor_ranks_behind_those_that_can_be_tested() -> None:
    standing = of(finals({"one": [0.99, None, None], "two": [0.9, 0.91, 0.9]}))
    assert standing.names == ("two", "one")


def test_an_lr_on_the_edge_of_what_was_tried_is_known() -> None:
    grid = {0.05: 0.8, 0.1: 0.9, 0.2: 0.85}
    for lr, edge in ((0.05, "low"), (0.1, ""), (0.2, "high")):
        assert of([*tuned("a", grid), *finals({"a": [0.9, 0.9]}, lr=lr)]).edges == (edge,)


def test_validation_metrics() -> None:
    standing = of(finals({"a": [0.9, 0.91]}), Question(metric="val_accuracy", val_size=400))
    assert standing.metric == "val_accuracy"
    assert standing.floor == pytest.approx(1 / 400 / math.sqrt(6))


def test_the_floor_of_an_unknown_number_of_images_is_the_smallest_step() -> None:
    values = np.array([[0.9, 0.91], [0.92, 0.905]])
    (standing,) = standings(trials_of(values), Question())
    assert standing.floor == pytest.approx(0.005 / math.sqrt(6))


def test_each_budget_has_its_own_standing() -> None:
    trials = [*finals({"a": [0.9]}, epochs=2), *finals({"a": [0.95], "b": [0.8]}, epochs=4)]
    found = standings(trials_frame(trials, None), WIDE)
    assert [(s.budget, s.names) for s in found] == [(4, ("a", "b")), (2, ("a",))]


def test_finals_at_an_older_lr_do_not_count() -> None:
    trials = [*finals({"a": [0.5]}, lr=0.2), *finals({"a": [0.9, 0.92]}, lr=0.1)]
    standing = of(trials)
    assert standing.lrs.tolist() == [0.1]
    assert standing.values.tolist() == [[0.9], [0.92]]


def test_nothing_yet() -> None:
    assert standings(trials_frame([], None), WIDE) == []
    assert standings(trials_frame(tuned("a", {0.1: 0.9}), None), WIDE) == []
