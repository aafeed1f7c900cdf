"""Studies: the comparison again with a tuning and seeds of its own."""

from dataclasses import replace

import pytest

from lrbench.analysis import Question, summarise
from lrbench.options import CompareSpec
from lrbench.plan import plan
from lrbench.records import History
from tests.analysis.made import finals, tuned

STEADY: list[float | None] = [0.95, 0.951, 0.952, 0.95, 0.951]
LOW: list[float | None] = [value - 0.03 for value in STEADY if value]


def of_study(number: int, trials: list[History]) -> list[History]:
    return [replace(h, spec=h.spec.model_copy(update={"study": number or None})) for h in trials]


def study(number: int, a: list[float | None], b: list[float | None], lr: float) -> list[History]:
    return of_study(number, finals({"a": a, "b": b}, lr=lr))


def test_studies_are_reported_apart_and_the_first_gives_the_answer() -> None:
    trials = [*study(0, STEADY, LOW, 0.1), *study(1, STEADY, LOW, 0.2), *study(2, LOW, STEADY, 0.1)]
    trials += tuned("a", {0.1: 0.9, 0.2: 0.8})
    summary = summarise(trials, Question(("a", "b"), studies=3, test_size=10**6))
    assert len(summary.ranking) == 2 and summary.ranking["n"].tolist() == [5, 5]
    assert summary.winner == "a" and len(summary.trials) == 32
    rows = summary.studies[summary.studies["schedule"] == "b"]
    assert rows["gain"].tolist() == pytest.approx([0.03, 0.03, -0.03])
    assert rows["better"].tolist() == [True, True, False]
    assert rows["lr"].tolist() == [0.1, 0.2, 0.1]
    said = "Of 3 studies, each with its own tuning and seeds, 2 say the same: a ranks first in 2"
    assert f"{said}, at LRs from 0.1 to 0.2, and is found better" in summary.certainty
    assert "better than b in 2 (ahead by -3.0 to 3.0 points)" in summary.certainty
    assert "--studies" not in summary.certainty


def test_the_tuning_of_another_study_is_not_in_the_sensitivity() -> None:
    other = of_study(1, tuned("a", {0.4: 0.9, 0.8: None}))
    trials = [*tuned("a", {0.1: 0.9, 0.2: 0.95}), *other, *study(0, STEADY, LOW, 0.1)]
    summary = summarise(trials, Question(("a", "b"), studies=2))
    of_a = summary.sensitivity[summary.sensitivity["schedule"] == "a"]
    assert of_a["lr"].tolist() == [0.1, 0.2] and summary.ranking["tune_failed"].sum() == 0


def test_one_study_says_that_it_rests_on_one_tuning() -> None:
    question, trials = Question(("a", "b"), test_size=10**6), study(0, STEADY, LOW, 0.1)
    summary = summarise([*tuned("a", {0.1: 0.9, 0.2: 0.8}), *trials], question)
    assert "nor another tuning of the LRs (--studies 3)" in summary.certainty
    assert "tuning" not in summarise(trials, question).certainty  # its LRs were named
    assert not len(summary.studies)


def test_studies_share_no_seed_and_the_first_is_the_ordinary_run() -> None:
    asked = CompareSpec(schedules=("cosine",), lrs=(0.1, 0.2), studies=3, tuning_seeds=2, seeds=10)
    trials = plan(asked, {}, {}, {128: 28}).tuning
    by_study = [{t.seed for t in trials if t.study == number} for number in (None, 1, 2)]
    assert [len(seeds) for seeds in by_study] == [2, 2, 2]
    assert len(set.union(*by_study)) == 6
    ordinary = asked.model_copy(update={"studies": 1})
    assert set(plan(ordinary, {}, {}, {128: 28}).tuning) < set(trials)
    assert ordinary.fingerprint == asked.fingerprint
    finals = [set(asked.final_seeds(number)) for number in (None, 1, 2)]
    assert len(set.union(*finals)) == 30


def test_the_studies_of_one_schedule_have_no_order() -> None:
    made = [h for n, lr in ((0, 0.1), (1, 0.2)) for h in study(n, STEADY, LOW, lr)]
    alone = [h for h in made if h.spec.name == "a"]
    said = summarise(alone, Question(("a",), studies=2, test_size=10**6)).certainty
    assert said.endswith(
        "In 2 studies, each with its own seeds, a reached 95.1 % at LRs from 0.1 to 0.2."
    )
    assert "rank" not in said
