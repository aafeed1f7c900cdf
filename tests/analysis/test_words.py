import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis import Question, Summary, spending, summarise
from lrbench.analysis.amounts import at_most, margin
from lrbench.analysis.frames import trials_frame
from lrbench.analysis.names import short
from lrbench.analysis.standing import standings
from lrbench.analysis.words import certainty, sentence
from lrbench.errors import Notice, Topic
from lrbench.records import History
from lrbench.report.table import difference, value
from tests.analysis import made
from tests.analysis.made import WIDE, columns, compared, finals, noisy, trials_of, tuned


def say(trials: list[History], question: Question = WIDE) -> str:
    return sentence(standings(trials_frame(trials, None), question))


def test_use_this_one_and_how_it_stands_to_the_others() -> None:
    found = noisy({"cosine": 0.97, "linear": 0.9705, "constant": 0.961})
    first, second, third = found.values.T
    near, far = first - second, first - third
    wide, half = (stats.t.ppf(1 - 0.05 / 6, 4) * stats.sem(gaps) for gaps in (near, far))
    most = at_most(near.mean() + wide, "test_accuracy")
    assert sentence([found]) == (
        f"Use linear at LR 0.1: {100 * first.mean():.1f} %, not told apart from cosine "
        f"(at most {most} apart), "
        f"better than constant by {100 * far.mean():.1f} ± {100 * half:.1f} points (5 seeds)."
    )


def test_a_tie_at_the_edge_of_a_named_grid_is_not_decided() -> None:
    tuning = [*tuned("x", {0.05: 0.8, 0.1: 0.9}), *tuned("y", {0.05: 0.8, 0.1: 0.9})]
    trials = [*tuning, *finals({"x": [0.97, 0.971, 0.972], "y": [0.9702, 0.9708, 0.9721]})]
    edge = Notice(Topic.EDGE_OF_GRID, "the best LR is the highest that was tried")
    for notices, words in (((), "Any of these will do"), ((edge,), "Not decided, as a better LR")):
        summary = summarise(trials, Question(test_size=10**6, notices=notices))
        assert summary.sentence.startswith(words)
        assert "at LR 0.1, the highest of its grid" in summary.sentence


def test_leaders_that_may_be_equal_are_not_worth_more_seeds_and_the_simplest_is_named() -> None:
    noise = np.random.default_rng(2).normal(0, 0.001, (4, 10))
    names = ("warmup + cosine", "cosine", "step")
    made = columns(noise[:3].T + np.array([0.9702, 0.9701, 0.95]), names)
    summary = compared(made, Question(names, test_size=10**6))
    assert summary.sentence.startswith("Use warmup + cosine")
    assert summary.sentence.endswith("(10 seeds); simplest of these: cosine.")
    assert summary.next_step.startswith("take the simplest: they may be equal")


def test_one_ahead_of_all_is_better_than_each_and_many_behind_are_counted() -> None:
    text = sentence([noisy({"cosine": 0.99, "linear": 0.97, "constant": 0.95})])
    assert ", better than linear by 2.0 ± 0." in text
    assert " and constant by 4.0 ± 0." in text and "not told apart" not in text
    text = sentence([noisy({"best": 0.99, **{f"s{i}": 0.95 - i / 100 for i in range(5)}})])
    assert "better than all 5 others, from s0 by 4." in text and "to s4 by 8." in text


def test_one_seed_has_no_winner_and_one_schedule_no_rank() -> None:
    assert say(finals({"cosine": [0.9712], "linear": [0.9]})) == (
        "Best so far is cosine at LR 0.1 with 97.1 %, but one seed cannot tell schedules apart "
        "(1 seed)."
    )
    assert say(finals({"cosine": [0.97, 0.98]})) == "cosine at LR 0.1 reached 97.5 % (2 seeds)."
    text = say(finals({"cosine": [0.97, 0.98], "linear": [None, None]}))
    assert "but no other ended well in two seeds (2 seeds)" in text


def test_exactly_equal_ones_are_named() -> None:
    column = [0.9, 0.91, 0.92]
    text = say(finals({"x": column, "y": column}))
    assert text.startswith(
        "Any of these will do; simplest: x at LR 0.1 (91.0 %); differences up to"
    )
    assert text.endswith("; x and y are exactly equal in all 3 seeds.")
    text = say(finals({"x": column, "y": column, "z": [0.5, 0.51, 0.52]}))
    assert "not told apart from y, better than z by 40.0" in text


def test_failures_are_named_with_a_bound() -> None:
    text = say(finals({"x": [0.9, 0.901, 0.9], "z": [None, 0.99, 0.99]}))
    assert text.startswith("Use z at LR 0.1: 99.0")
    assert "; but z lost 1 of 3 seeds: 1 failed (a rate of up to 86 %)" in text
    assert say(finals({"x": [None]})).startswith(
        "No final training ended well: x lost 1 of 1 seed: 1 failed"
    )
    assert say(finals({"x": [None], "y": [None]})) == (
        "No final training ended well: x and y each lost 1 of 1 seed: 1 failed."
    )


def test_losses_are_no_points() -> None:
    values = np.random.default_rng(0).normal([0.95, 0.8], 1e-3, (4, 2))
    text = say(finals(columns(values, "xy")), Question(metric="test_loss"))
    assert "better than y by 0.300 ± 0.002 in test loss (4 seeds)" in text
    assert "point" not in text and "%" not in text


def test_each_budget_has_its_sentence() -> None:
    trials = [*finals({"a": [0.9]}, epochs=2), *finals({"a": [0.95]}, epochs=4)]
    assert say(trials) == (
        "For 4 epochs: a at LR 0.1 reached 95.0 % (1 seed). "
        "For 2 epochs: a at LR 0.1 reached 90.0 % (1 seed)."
    )


@pytest.mark.parametrize(
    ("value", "half", "metric", "expected"),
    [
        (0.009, 0.003, "test_accuracy", "0.9 ± 0.3 points"),
        (0.00012, 0.00034, "test_accuracy", "0.01 ± 0.03 points"),
        (0.0, 0.0, "val_accuracy", "0.0 ± 0.0 points"),
        (0.25, float("nan"), "val_accuracy", "25.0 points"),
        (0.01234, 0.002, "val_loss", "0.012 ± 0.002 in val loss"),
        (0.1, 1e-12, "val_loss", "0.100000 ± 0.000000 in val loss"),
    ],
)
def test_margins(value: float, half: float, metric: str, expected: str) -> None:
    assert margin(value, half, metric) == expected


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_losses_of_any_size_are_readable(scale: float) -> None:
    """To two digits, in at most eight characters."""
    pair = {"diff_sim_low": 0.02 * scale, "diff_sim_high": 0.04 * scale}
    texts = [
        value(0.5 * scale, "test_loss", 0.01 * scale),
        difference(0.03 * scale, pair, "test_loss"),
        margin(0.03 * scale, 0.01 * scale, "test_loss").removesuffix(" in test loss"),
    ]
    for text, sizes in zip(texts, ((0.5, 0.01), (0.03, 0.01), (0.03, 0.01)), strict=True):
        parts = text.split(" ± ")
        assert [float(part) / scale for part in parts] == pytest.approx(sizes)
        assert all(len(part) <= 8 for part in parts)
    bound = at_most(0.0251 * scale, "test_loss").split()[0]
    assert float(bound) / scale == pytest.approx(0.026) and len(bound) <= 8


def test_how_sure_it_is() -> None:
    standing = noisy({"cosine": 0.97, "linear": 0.9705})
    text = certainty(standing)
    assert text.startswith("Intervals of differences are at 95 % for 1 pair and cover other seeds")
    assert "With 5 seeds it reliably detects differences of 0." in text
    (wild,) = standings(trials_of(np.array([[0.1, 0.9], [0.9, 0.2]])), WIDE)
    assert "no difference could be detected reliably" in certainty(wild)
    (mixed,) = standings(trials_of(np.array([[0.9, 0.91, 0.2], [0.91, 0.9, 0.9]])), WIDE)
    assert re.search(r"differences of \d+\.\d points or more, depending", certainty(mixed))


def test_long_names_keep_both_ends() -> None:
    assert short("x" * 10_000 + "end", 20).endswith("end")
    assert len(short("x" * 10_000, 20)) == 20
    assert len(say(finals({"y" * 10_000: [0.9, 0.91], "z": [0.8, 0.8]}))) < 300


def grown(values: np.ndarray, looks: tuple[int, ...] = (5, 8)) -> Summary:
    question = Question(tuple("abc"), looks=spending(looks, race=False), test_size=10**6)
    return compared(columns(values, "abc"), question)


def test_a_run_that_grew_says_so_and_invites_no_third_look() -> None:
    values = np.random.default_rng(1).normal([0.95, 0.9504, 0.9], 0.001, (8, 3))
    summary = grown(values)
    assert "(8 seeds, look 2 of 2; error rate 5 % over all pairs and looks)" in summary.sentence
    assert "before, after 5 seeds. Looking again may mislead, and 80 %" in summary.certainty
    assert "for all 3 pairs together and all looks" in summary.certainty
    assert summary.next_step == "" and "power" not in summary.certainty
    assert "look 1 of 2" in grown(values[:7]).sentence
    assert grown(values[:7]).ranking["n_common"].tolist() == [5, 5, 5]


def test_the_margin_is_in_points_and_was_tested_by_holm() -> None:
    values = np.random.default_rng(2).normal([0.95, 0.9503, 0.9], 0.001, (10, 3))
    near, tight, none = (
        compared(columns(values, "abc"), replace(made.FINE, margin=size)).sentence
        for size in (0.3, 0.02, None)
    )
    assert "equal to within 0.3 points: b and a." in near
    assert "no two are shown to be equal to within 0.02 points" in tight
    assert "within" not in none


def test_what_the_reference_alone_tells_is_added_to_the_answer() -> None:
    """Holm over two pairs finds what all three pairs together do not."""
    gaps = np.array([1.0, 2.2, 0.7, 1.9, 1.2, 0.6]) / 1000
    wide = gaps + np.array([0, 8, -6, 6, -5, -2]) / 1000
    base = np.full(6, 0.9) + np.arange(6) / 1000
    told = set()
    for scale in np.linspace(0.1, 1, 10):
        near = base + (gaps - gaps.mean()) + scale * gaps.mean()
        values = columns(np.column_stack([base, base + wide, near]), ["base", "wide", "near"])
        summary = compared(values, replace(made.FINE, reference="base"))
        alone = dict(zip(summary.reference["schedule"], summary.reference["verdict"], strict=True))
        apart = summary.first is not None and ("near", ("base",)) in summary.first.apart
        said = "Against base alone, as named beforehand, near is better." in summary.sentence
        assert said == (alone["near"] == "better" and not apart)
        assert not (said and "Any of these will do" in summary.sentence)
        told.add(said)
    assert told == {False, True}


@pytest.mark.parametrize(("steps", "remedy"), [(3, "train longer"), (1000, "another LR")])
def test_trainings_too_short_to_learn_are_told_to_train_longer(steps: int, remedy: str) -> None:
    made = finals({"a": [0.5, 0.1, 0.1], "b": [0.1, 0.1, 0.1]})
    trials = [replace(each, end=replace(each.end, steps=steps)) for each in made if each.end]
    summary = summarise(trials, Question(test_size=1000, classes=10))
    assert any(remedy in notice.remedy for notice in summary.notices)
    assert summary.next_step.startswith("train longer (--epochs):") is (steps == 3)


def test_the_first_failure_is_named_and_to_be_mended() -> None:
    made = finals({"a": [0.9, None, 0.9], "b": [0.9, 0.9, 0.9]})
    for status, named in (("failed", True), ("diverged", False)):
        trials = list(made)
        assert trials[1].end is not None
        trials[1] = replace(made[1], end=replace(trials[1].end, status=status, reason="seed 1"))
        summary = summarise(trials, WIDE)
        said = " ".join(map(str, summary.notices))
        assert ("the first failed: seed 1: mend the cause" in said) == named
        assert summary.next_step.startswith("mend the cause") == named


def test_the_grid_is_widened_on_the_side_where_the_best_lies() -> None:
    warmed = "warmup + cosine"
    tuning = [*tuned("cosine", {0.05: 0.8, 0.1: 0.9}), *tuned(warmed, {0.1: 0.9, 0.2: 0.8})]
    values = {"cosine": [0.971, 0.972, 0.973], warmed: [0.9702, 0.9708, 0.9721]}
    trials = [*tuning, *finals(values)]
    sides = ((warmed, "low", "it lies below"), ("cosine", "high", "it lies above"))
    below, above = (
        Notice(Topic.EDGE_OF_GRID, f"best LR of {name}: the {end}est", remedy, ((name, end),))
        for name, end, remedy in sides
    )
    for notices, said in (((below, above), "it lies above,"), ((below,), "")):
        summary = summarise(trials, Question(test_size=10**6, notices=notices))
        assert summary.best == "cosine"
        assert above not in summary.warnings and below in summary.warnings
        assert summary.next_step.startswith(said) and ("it lies" in summary.next_step) == bool(said)
