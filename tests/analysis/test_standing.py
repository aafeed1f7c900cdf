import math

import pytest

from lrbench.analysis import Question
from lrbench.analysis.frames import trials_frame
from lrbench.analysis.question import MetricName
from lrbench.analysis.standing import standings
from tests.analysis.made import finals, noisy, standing_of, tuned


def test_best_first_and_who_is_told_apart() -> None:
    standing = noisy({"low": 0.8, "high": 0.9, "middle": 0.85, "high too": 0.9})
    assert set(standing.names[:2]) == {"high", "high too"}
    assert standing.names[2:] == ("middle", "low")
    first, second = standing.names[:2]
    behind = ("middle", "low")
    assert standing.apart == ((first, behind), (second, behind), ("middle", ("low",)))
    assert standing.verdicts.tests == 6 and standing.winner is None


def test_one_lucky_survivor_ranks_behind_those_that_can_be_tested() -> None:
    standing = standing_of(finals({"one": [0.99, None, None], "two": [0.9, 0.91, 0.9]}))
    assert standing.names == ("two", "one")


def test_an_lr_on_the_edge_of_what_was_tried_is_known() -> None:
    grid = {0.05: 0.8, 0.1: 0.9, 0.2: 0.85}
    for lr, edge in ((0.05, "low"), (0.1, ""), (0.2, "high")):
        assert standing_of([*tuned("a", grid), *finals({"a": [0.9, 0.9]}, lr=lr)]).edges == (edge,)


def test_the_edge_is_that_of_all_lrs_tried_by_halving_too() -> None:
    grid = {0.05: 0.8, 0.1: 0.9, 0.2: 0.85}
    rungs = [*tuned("a", grid, epochs=1), *tuned("a", {0.05: 0.8, 0.1: 0.9}, epochs=2)]
    assert standing_of([*rungs, *finals({"a": [0.9, 0.9]}, lr=0.1)]).edges == ("",)


@pytest.mark.parametrize("metric", ["test_accuracy", "test_balanced_accuracy"])
def test_a_model_of_one_class_is_at_chance_by_balanced_accuracy(metric: MetricName) -> None:
    """Nine images in ten belong to that class."""
    trials = trials_frame(finals({"a": [0.9, 0.9]}), None)
    trials["test_balanced_accuracy"] = 0.5
    question = Question(metric=metric, test_size=1000, classes=2)
    (standing,) = standings(trials, question)
    assert standing.collapsed.tolist() == [2 * (metric == "test_balanced_accuracy")]


def test_a_task_without_accuracy_is_ranked_by_its_loss_even_if_all_diverge() -> None:
    assert standing_of(finals({"a": [None, None]}, accuracy=False)).metric == "test_loss"
    assert standing_of(finals({"a": [None, None]})).metric == "test_accuracy"


def test_the_floor_is_one_image_or_where_their_number_is_unknown_the_smallest_step() -> None:
    question = Question(metric="val_accuracy", val_size=400)
    standing = standing_of(finals({"a": [0.9, 0.91]}), question)
    assert standing.metric == "val_accuracy"
    assert standing.floor == pytest.approx(1 / 400 / math.sqrt(6))
    unknown = standing_of(finals({"a": [0.9, 0.92], "b": [0.91, 0.905]}), Question())
    assert unknown.floor == pytest.approx(0.005 / math.sqrt(6))


def test_finals_at_an_older_lr_do_not_count() -> None:
    standing = standing_of([*finals({"a": [0.5]}, lr=0.2), *finals({"a": [0.9, 0.92]}, lr=0.1)])
    assert standing.lrs.tolist() == [0.1]
    assert standing.values.tolist() == [[0.9], [0.92]]
