"""Faults that a referee found in earlier statistics, each with the example that showed it."""

import re

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis import Question, summarise, versus
from lrbench.analysis.corrections import rank_intervals
from lrbench.analysis.evidence import image_error
from lrbench.errors import Topic
from tests.analysis.made import columns, compared, finals, history, tuned

EXACT = Question(test_size=10**9, classes=10)


def test_1_two_that_are_told_apart_are_nowhere_said_to_be_a_tie() -> None:
    """A noisy leader is told apart from nobody; second and third are, and it is said."""
    values = {
        "noisy": [0.97, 0.93, 0.96, 0.94, 0.965, 0.955],
        "good": [0.951, 0.95, 0.952, 0.949, 0.951, 0.95],
        "bad": [0.941, 0.9405, 0.942, 0.9395, 0.941, 0.9405],
    }
    summary = compared(values, EXACT)
    assert summary.first is not None
    assert summary.first.apart == (("good", ("bad",)),)
    assert "told apart: good better than bad" in summary.sentence
    ranks = summary.ranking.set_index("schedule")[["rank_low", "rank_high"]]
    assert ranks.to_numpy().tolist() == [[1, 3], [1, 2], [2, 3]]
    low, high = rank_intervals(summary.first.verdicts.better)
    assert (ranks.to_numpy() == np.stack([low, high], axis=1)).all()
    assert "group" not in summary.ranking.columns


def test_2_order_test_and_gain_are_on_the_same_seeds() -> None:
    values = {"A": [0.91, 0.92, 0.93, 0.80, 0.81, 0.82], "B": [0.900, 0.911, 0.919]}
    summary = compared(values, EXACT)
    table = summary.ranking.set_index("schedule")
    assert table.index.tolist() == ["A", "B"]
    assert table.loc["B", "diff_to_best"] == pytest.approx(-0.01)
    assert table.loc["B", "n_common"] == 3 and table.loc["A", "n"] == 6
    theirs = stats.ttest_rel(values["B"], values["A"][:3])
    assert table.loc["B", "p_adjusted"] == pytest.approx(theirs.pvalue)
    assert "Use A" in summary.sentence and "better than B" in summary.sentence


def test_3_failures_are_counted_in_a_comparison_of_two_runs() -> None:
    question = Question(("s",), test_size=10**9)
    one = compared({"s": [0.900, 0.902, 0.901, 0.899, 0.900]}, question)
    other = compared({"s": [0.950, 0.953, 0.951, None, None]}, question)
    row = versus(one, other).iloc[0]
    assert (row["n"], row["lost_a"], row["lost_b"]) == (3, 0, 2)
    bound = 100 * stats.beta.ppf(0.95, 3, 3)
    said = f"s lost 2 of 5 seeds: 2 failed (a rate of up to {bound:.0f} %)"
    assert said in other.sentence and said in str(other.notices[0])


def test_3_all_comparisons_with_a_are_one_family() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal([[0.9], [0.92], [0.921]], 0.01, (3, 5))
    runs = [compared({"s": row.tolist()}, EXACT) for row in draws]
    table = versus(runs[0], *runs[1:])
    values = [run.standings[0].values[:, 0] for run in runs]
    p = [stats.ttest_rel(other, values[0]).pvalue for other in values[1:]]
    small, large = sorted(p)
    expected = {small: 2 * small, large: max(large, 2 * small)}
    assert table["p_adjusted"].tolist() == pytest.approx([expected[x] for x in p])
    assert table["run"].tolist() == [0, 1]


def test_4_a_collapse_is_counted_and_never_averaged() -> None:
    values = {
        "best": [0.975, 0.976, 0.974, 0.975, 0.098],
        "next": [0.965, 0.966, 0.964, 0.966, 0.965],
    }
    summary = compared(values, Question(test_size=1000, classes=10))
    table = summary.ranking.set_index("schedule")
    assert table.index[0] == "best" and summary.winner == "best"
    assert table.loc["best", ["n", "failed", "collapsed"]].tolist() == [4, 0, 1]
    assert table.loc["best", "metric_mean"] == pytest.approx(0.975)
    theirs = stats.ttest_rel(values["next"][:4], values["best"][:4])
    assert table.loc["next", "p_adjusted"] == pytest.approx(theirs.pvalue)
    bound = 100 * stats.beta.ppf(0.95, 2, 4)
    assert f"lost 1 of 5 seeds: 1 at chance (a rate of up to {bound:.0f} %)" in summary.sentence


def test_5_and_6_seeds_that_are_needed_are_a_range_of_new_ones_or_nothing() -> None:
    first = [0.952, 0.951, 0.9526, 0.9511, 0.9518, 0.9509]
    near = [0.951, 0.9508, 0.9512, 0.9513, 0.9505, 0.9506]
    vague = [0.950, 0.9511, 0.9502, 0.9515, 0.9503, 0.9504]
    step = compared({"a": first, "b": near}, EXACT).next_step
    assert re.search(r"\Aa new run with --seeds .*it takes \d+ to \d+ seeds", step), step
    assert "--seeds" not in compared({"a": first, "b": vague}, EXACT).next_step
    same = {"a": [0.9, 0.92, 0.91], "b": [0.92, 0.9, 0.91]}
    assert "--seeds" not in compared(same, EXACT).next_step


def test_8_what_is_not_told_apart_is_no_tie() -> None:
    rng = np.random.default_rng(0)
    noisy = columns(rng.uniform(0.4, 0.95, (4, 6)), [f"s{i}" for i in range(6)])
    said = compared(noisy, EXACT).sentence
    assert said.startswith("Too noisy to choose: differences up to ") and "tie" not in said
    quiet = columns(rng.normal(0.971, 0.0005, (5, 2)), ["cosine", "constant"])
    summary = compared(quiet, EXACT)
    assert summary.sentence.startswith("Any of these will do; simplest: constant at LR 0.1 (97.")
    within = 100 * float(summary.ranking["within"].max())
    bound = r"differences up to ([\d.]+) points are possible \(5 seeds\)"
    found = re.search(bound, summary.sentence)
    assert found is not None and float(found[1]) == pytest.approx(within, abs=0.06)


def test_11_that_seeds_are_no_test_images_is_said_once() -> None:
    values = {"a": [0.98, 0.981, 0.979], "b": [0.97, 0.972, 0.971]}
    summary = compared(values, Question(test_size=1000))
    error = 100 * image_error(0.02, 0.029, 1000)
    assert summary.certainty.count("not other test images") == 1
    assert f"a standard error of up to {error:.1f} points" in summary.certainty


def test_12_luck_in_tuning_is_seen_at_the_scale_of_mnist() -> None:
    grid, question = tuned("cosine", {0.1: 0.97, 0.2: 0.98}), Question(val_size=400)
    lucky = [*grid, *finals({"cosine": [0.964, 0.966, 0.965]}, lr=0.2)]
    (said,) = summarise(lucky, question).notices
    assert said.topic is Topic.LUCKY_LR
    assert "LR 0.2 gave cosine 98.0 % in tuning and 96.5 %" in str(said)
    assert "6 fewer of 400 validation images" in said.message
    assert summarise(lucky, Question(val_size=100)).notices == ()  # 2 of 100 are chance
    steady = [*grid, *finals({"cosine": [0.975, 0.977]}, lr=0.2), history(status=None)]
    assert summarise(steady, question).notices == ()
