"""Two runs side by side, against scipy's paired t test."""

import math

import pytest
from scipy import stats

from lrbench.analysis import Question, summarise, versus

from .made import finals

A = {"cosine": [0.90, 0.92, 0.91, 0.93], "constant": [0.80, 0.82, 0.81, 0.84]}
B = {"cosine": [0.95, 0.96, 0.97, 0.96], "constant": [0.80, 0.83, 0.81, 0.83], "step": [0.5] * 4}
QUESTION = Question(schedules=("cosine", "constant", "step"))


def test_the_difference_is_scipys_paired_t() -> None:
    rows = versus(summarise(finals(A), QUESTION), summarise(finals(B), QUESTION))
    rows = rows.set_index("schedule")
    assert list(rows.index) == ["cosine", "constant"]
    for name in A:
        expected = stats.ttest_rel(B[name], A[name])
        low, high = expected.confidence_interval(1 - 0.05 / 2)
        row = rows.loc[name]
        assert row["diff_sim_low"] == pytest.approx(max(low, 0) if name == "cosine" else low)
        assert row["diff_sim_high"] == pytest.approx(high)
    p = [stats.ttest_rel(B[name], A[name]).pvalue for name in A]
    assert rows.loc["cosine", "p_adjusted"] == pytest.approx(min(1, 2 * p[0]))
    assert rows.loc["cosine", "verdict"] == "better"
    assert rows.loc["constant", "verdict"] == "not told apart"


def test_only_common_seeds_count_and_one_of_them_says_nothing() -> None:
    short = {"cosine": [0.95]}
    rows = versus(summarise(finals(A), QUESTION), summarise(finals(short), QUESTION))
    assert rows["n"].tolist() == [1]
    assert rows["verdict"].tolist() == [None]
    assert math.isnan(rows["p_adjusted"].iloc[0])


def test_one_budget_each_meets_whatever_it_is_and_several_meet_their_like() -> None:
    long = summarise(finals(A, epochs=4), QUESTION)
    short = summarise(finals(B, epochs=2), QUESTION)
    both = summarise([*finals(B, epochs=2), *finals(B, epochs=4)], QUESTION)
    one = versus(long, short)
    assert one["budget_a"].tolist() == [4, 4] and one["budget_b"].tolist() == [2, 2]
    assert versus(long, both)["budget_b"].tolist() == [4, 4]


def test_another_metric_is_no_comparison() -> None:
    loss = Question(schedules=QUESTION.schedules, metric="test_loss")
    assert not len(versus(summarise(finals(A), QUESTION), summarise(finals(B), loss)))
