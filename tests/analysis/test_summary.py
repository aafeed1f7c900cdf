import pytest

from lrbench.analysis import Question, summarise
from lrbench.errors import Notice, Topic
from tests.analysis.made import compared, finals, history, tuned

WON = {"b": [0.8, 0.81, 0.8], "a": [0.9, 0.91, 0.905]}


def test_a_run_with_nothing_in_it() -> None:
    summary = summarise([], Question())
    frames = (summary.trials, summary.epochs, summary.steps, summary.ranking, summary.sensitivity)
    for frame in frames:
        assert len(frame) == 0 and len(frame.columns) > 5
    assert (summary.best, summary.winner, summary.certainty) == (None, None, "")
    assert summary.sentence == "No final trial has ended yet."
    assert summary.notices == ()


def test_a_run_that_is_still_tuning() -> None:
    summary = summarise([*tuned("a", {0.1: 0.9}), history(status=None)], Question())
    sizes = [len(frame) for frame in (summary.sensitivity, summary.ranking, summary.trials)]
    assert sizes == [1, 0, 2] and summary.failed_finals == 0


def test_a_winner_stands_alone() -> None:
    summary = compared(WON, Question(("b", "a"), test_size=1000, seeds=3))
    assert (summary.best, summary.winner) == ("a", "a")
    assert summary.chosen == {"a": 0.1, "b": 0.1}
    assert summary.target_accuracy == pytest.approx(0.99 * 0.905)
    assert summary.notices == ()


def test_what_is_not_told_apart_has_a_best_and_no_winner_and_one_seed_a_notice() -> None:
    summary = compared({"a": [0.9, 0.91], "b": [0.91, 0.905]}, Question())
    assert (summary.best, summary.winner) == ("b", None)
    summary = compared({"a": [0.9], "b": [0.1]}, Question())
    assert summary.winner is None
    assert [notice.topic for notice in summary.notices] == [Topic.FEW_SEEDS]


def test_failures_and_what_was_said_before_are_notices() -> None:
    before = Notice(Topic.EDGE_OF_GRID, "the best LR of a is the highest")
    summary = compared({"a": [0.9, 0.92], "b": [0.9, None]}, Question(notices=(before, before)))
    assert [n.topic for n in summary.notices] == [Topic.EDGE_OF_GRID, Topic.TRIALS_FAILED]
    assert summary.failed_finals == 1


def test_an_unfinished_run_says_so() -> None:
    trials = finals({"a": [0.9, 0.92], "b": [0.9, 0.93]})
    (notice,) = summarise(trials, Question(seeds=5)).notices
    assert notice.message == "2 of 5 final seeds are done"
    (uneven,) = summarise(trials[:-1], Question(seeds=2)).notices
    assert "from 1 to 2 final seeds" in uneven.message


def test_the_target_that_was_asked_for() -> None:
    summary = compared({"a": [0.9, 0.92]}, Question(target_accuracy=0.95))
    assert summary.target_accuracy == 0.95
    assert summary.ranking["epochs_to_target"].isna().all()


def test_at_most_three_warnings_are_shown_and_equal_ones_are_one() -> None:
    said = [(Topic.EDGE_OF_GRID, f"the best LR of {n} is the highest", "try more") for n in "ab"]
    said += [(Topic.OTHER, f"{n} is odd", f"mend {n}") for n in "xyz"]
    said.append((Topic.FEW_SEEDS, "few seeds", "train the rest"))
    summary = summarise([], Question(notices=tuple(Notice(*each) for each in said)))
    assert len(summary.notices) == 6
    few, edge, odd = summary.warnings
    assert few.topic is Topic.FEW_SEEDS and odd.message == "x is odd"
    assert str(edge) == "the best LR of a is the highest; the best LR of b is the highest: try more"


def test_an_unstable_tuning_asks_for_epochs_and_not_for_seeds() -> None:
    unstable = compared({"a": [0.9, 0.92, 0.91], "b": [0.95, None, 0.94]}, Question(seeds=3))
    assert unstable.next_step.startswith("train longer (--epochs)")
    assert compared(WON, Question(seeds=3)).next_step == ""
    assert "same command" in compared(WON, Question(seeds=5)).next_step


@pytest.mark.parametrize(("lr", "warned"), [(0.2, 0), (0.1, 1)])
def test_an_edge_that_the_sentence_names_is_no_warning_as_well(lr: float, warned: int) -> None:
    edge = Notice(Topic.EDGE_OF_GRID, "the highest", "try more above", (("a", "high"),))
    trials = [*tuned("a", {0.05: 0.8, 0.1: 0.9, 0.2: 0.9}), *finals({"a": [0.9, 0.92]}, lr=lr)]
    summary = summarise(trials, Question(notices=(edge,)))
    assert ("the highest of its grid" in summary.sentence) is (not warned)
    assert len([n for n in summary.warnings if n.topic is Topic.EDGE_OF_GRID]) == warned


@pytest.mark.parametrize(("lucky", "advised"), [(2, False), (4, True)])
def test_advice_is_on_the_ranking_that_answers(lucky: int, advised: bool) -> None:
    """Luck in tuning at another length is a warning, but not the next step."""
    trials = [
        *(h for e in (2, 4) for h in tuned("a", {0.1: 0.9, 0.2: 0.95}, epochs=e)),
        *finals({"a": [0.5, 0.7]}, lr=0.2, epochs=lucky),
        *finals({"a": [0.95, 0.94]}, lr=0.2, epochs=6 - lucky),
    ]
    summary = summarise(trials, Question(("a",)))
    assert [n.topic for n in summary.notices] == [Topic.LUCKY_LR]
    assert ("tuning is unstable" in summary.next_step) is advised
