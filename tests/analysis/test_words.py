from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis import Question
from lrbench.analysis.frames import trials_frame
from lrbench.analysis.names import short
from lrbench.analysis.power import power_facts
from lrbench.analysis.standing import Standing, standings
from lrbench.analysis.words import margin, power_sentence, sentence
from lrbench.records import History
from tests.analysis.made import finals, trials_of

WIDE = Question(test_size=10_000)


def say(trials: list[History], question: Question = WIDE) -> str:
    return sentence(standings(trials_frame(trials, None), question))


def noisy(means: dict[str, float], seeds: int = 5, sd: float = 0.001) -> list[Standing]:
    rng = np.random.default_rng(0)
    values = np.array(list(means.values())) + rng.normal(0, sd, (seeds, len(means)))
    return standings(trials_of(values, list(means)), WIDE)


def test_a_tie_ahead_of_the_rest() -> None:
    found = noisy({"cosine": 0.97, "linear": 0.9705, "constant": 0.961})
    values = found[0].values
    gaps = values[:, :2].mean(axis=1) - values[:, 2]
    half = stats.t.ppf(0.975, 4) * stats.sem(gaps)
    assert sentence(found) == (
        "linear and cosine cannot be told apart; both beat constant by "
        f"{100 * gaps.mean():.1f} ± {100 * half:.1f} points (5 seeds)"
    )


def test_one_ahead_of_all() -> None:
    text = sentence(noisy({"cosine": 0.99, "linear": 0.97, "constant": 0.95}))
    assert text.startswith("cosine beats linear by 2.0 ± 0.")
    assert " and constant by 4.0 ± 0." in text


def test_many_behind_are_counted() -> None:
    means = {"best": 0.99, **{f"s{i}": 0.95 - i / 100 for i in range(5)}}
    text = sentence(noisy(means))
    assert text.startswith("best beats the other 5, from s0 by 4.") and "to s4 by 8." in text


def test_all_tied() -> None:
    pair = sentence(noisy({"cosine": 0.97, "linear": 0.97}))
    assert "cannot be told apart (difference 0.0" in pair and pair.endswith("points, 5 seeds)")
    six = sentence(noisy({f"s{i}": 0.97 for i in range(6)}))
    assert six.startswith("no schedule can be told apart from s") and "6 schedules within" in six
    assert "beat" not in pair + six


def test_only_the_best_beats_what_its_group_does_not() -> None:
    """B is tied with A; A beats C, B is too noisy to."""
    values = np.array(
        [[0.900, 0.93, 0.890], [0.902, 0.85, 0.892], [0.901, 0.86, 0.8905], [0.899, 0.94, 0.8895]]
    )
    found = standings(trials_of(values, ["A", "B", "C"]), WIDE)
    text = sentence(found)
    assert text.startswith("A and B cannot be told apart; A beats C by 1.00 ± 0.06 points")


def test_one_seed_has_no_winner() -> None:
    assert say(finals({"cosine": [0.9712], "linear": [0.9]})) == (
        "cosine reached 97.12 % test accuracy (one seed cannot tell schedules apart)"
    )


def test_one_schedule() -> None:
    text = say(finals({"cosine": [0.97, 0.98]}))
    assert text.startswith("cosine reached 97.50 % test accuracy (± ")
    assert "beat" not in text and "only schedule" not in text
    assert say(finals({"cosine": [0.97]})) == "cosine reached 97.00 % test accuracy (one seed)"


def test_exact_ties_say_so() -> None:
    column = [0.9, 0.91, 0.92]
    assert say(finals({"x": column, "y": column})) == "x and y are exactly equal in all 3 seeds"
    text = say(finals({"x": column, "y": column, "z": [0.5, 0.51, 0.52]}))
    assert text.startswith("x and y cannot be told apart; both beat z by 40.00 ± 0.01 points")
    assert text.endswith("; x and y are exactly equal in all 3 seeds")
    three = say(finals({"x": column, "y": column, "z": column}))
    assert three == "x, y and z are exactly equal in all 3 seeds"


def test_failures_are_named() -> None:
    text = say(finals({"x": [0.9, 0.9, 0.91], "y": [0.8, 0.8, 0.8], "z": [None, 0.99, 0.99]}))
    assert text.startswith("x beats y by ")
    assert text.endswith("; z failed in 1 of 3 seeds and ranks last")
    alone = say(finals({"x": [0.9, 0.9], "z": [None, 0.99]}))
    assert "is the only schedule without a failed seed" in alone
    none = say(finals({"x": [0.9, None], "z": [None, 0.99]}))
    assert none.startswith("no schedule finished all its seeds")
    assert say(finals({"x": [None]})).startswith(
        "no final trial ended well; x failed in 1 of 1 seed"
    )


def test_nothing_yet() -> None:
    assert sentence([]) == "no final trial has ended yet"


def test_losses_are_no_points() -> None:
    rng = np.random.default_rng(0)
    values = {n: list(m + rng.normal(0, 1e-3, 4)) for n, m in {"x": 0.95, "y": 0.8}.items()}
    text = say(finals(values), Question(metric="test_loss"))
    assert text.startswith("x beats y by 0.299 ± 0.002 ") and "in test loss (4 seeds)" in text
    assert "point" not in text


def test_each_budget_has_its_sentence() -> None:
    trials = [*finals({"a": [0.9]}, epochs=2), *finals({"a": [0.95]}, epochs=4)]
    assert say(trials) == (
        "for 4 epochs: a reached 95.00 % test accuracy (one seed); "
        "for 2 epochs: a reached 90.00 % test accuracy (one seed)"
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


def test_what_the_run_could_have_found() -> None:
    (standing,) = noisy({"cosine": 0.97, "linear": 0.9705})
    facts = power_facts(standing)
    assert facts is not None
    text = power_sentence(facts, "test_accuracy")
    assert text.startswith("with 5 seeds and 1 pair, this run reliably detects only 0.")
    assert f"takes about {facts.needed} seeds" in text


def test_long_names_keep_both_ends() -> None:
    assert short("x" * 10_000 + "end", 20).endswith("end")
    assert len(short("x" * 10_000, 20)) == 20
    assert len(say(finals({"y" * 10_000: [0.9, 0.91], "z": [0.8, 0.8]}))) < 300
