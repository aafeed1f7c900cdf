"""Arms in a plan: centres, steps, growth; and that equal ones are not told apart too often."""

from collections.abc import Callable

import numpy as np
import pytest

from lrbench.analysis import Question
from lrbench.analysis.frames import trials_frame
from lrbench.analysis.standing import standings
from lrbench.options import Arm, CompareSpec, TrialSpec
from lrbench.plan import plan
from lrbench.records import labelled
from tests.plan.test_plan import STEPS, run

BIG = Arm(name="big", changes=(("batch_size", 512),), lr_scaling="sqrt")
CLIP = Arm(name="clip", changes=(("clip_norm", 1.0),))


def test_its_lrs_are_scaled_or_centred_by_a_range_test_of_its_own() -> None:
    spec = CompareSpec(schedules=("constant",), arms=(BIG, CLIP), tuning_seeds=1)
    first = plan(spec, {}, {}, STEPS).find
    assert first is not None and first.recipe == spec.recipe
    finds = {first.id: {"lr": 0.1, "max_stable_lr": 9.0}}
    second = plan(spec, {}, finds, STEPS).find
    assert second is not None and second.recipe.clip_norm == 1
    finds[second.id] = {"lr": 0.3, "max_stable_lr": 9.0}
    trials = plan(spec, {}, finds, STEPS).trials
    lrs = {name: sorted(t.lr for t in trials if t.name == name) for name in spec.entrants}
    assert lrs["constant"] == [0.05, 0.1, 0.2]
    assert lrs["big"] == pytest.approx([0.1, 0.2, 0.4])
    assert lrs["clip"] == pytest.approx([0.15, 0.3, 0.6])
    assert {t.batch_size for t in trials} == {128}, "they stand in one ranking"


def test_named_lrs_are_those_of_arms_too() -> None:
    spec = CompareSpec(schedules=("cosine",), arms=(BIG, CLIP), lrs=(0.1, 0.2))
    trials = plan(spec, {}, {}, STEPS).trials
    assert {t.lr for t in trials if t.name == "clip"} == {0.1, 0.2}
    assert {t.lr for t in trials if t.name == "big"} == {0.2, 0.4}


def test_a_schedule_that_joins_renames_an_arm_and_trains_nothing_again() -> None:
    small = CompareSpec(schedules=("cosine",), arms=(BIG,), lrs=(0.1,), seeds=2)
    _, known = run(small, lambda trial: 0.9)
    grown = CompareSpec(schedules=("linear",), arms=(CLIP,), lrs=(0.1,), seeds=2).grown_from(small)
    left = plan(grown, known, {}, STEPS)
    named = {"big: linear", "clip: cosine", "clip: linear", "linear"}
    assert {trial.name for trial in left.trials} == named
    kept = labelled(left.finals, known)
    assert {history.spec.name for history in kept} == {"cosine", "big: cosine"}


def noise(draw: int) -> Callable[[TrialSpec], float]:
    """Values in which a seed has an effect and nothing else has."""
    random = np.random.default_rng(draw)
    of_seed = random.normal(0.9, 0.01, 10)
    return lambda trial: float(of_seed[trial.seed % 10] + random.normal(0, 0.005))


@pytest.mark.parametrize(
    "schedules", [("cosine",), pytest.param(("cosine", "linear"), marks=pytest.mark.long)]
)
def test_equal_arms_are_told_apart_no_more_often_than_the_level(schedules: tuple[str, ...]) -> None:
    """Comparisons of what makes no difference, tuning included."""
    draws = 100
    spec = CompareSpec(schedules=schedules, arms=(CLIP,), lrs=(0.05, 0.1), seeds=6, tuning_seeds=1)
    question = Question(schedules=spec.entrants, seeds=6, test_size=1000)
    told = 0
    for draw in range(draws):
        _, known = run(spec, noise(draw))
        [found] = standings(trials_frame(list(known.values()), None), question)
        told += bool(found.apart)
    assert told <= draws * 0.05 + 3 * np.sqrt(draws * 0.05 * 0.95)
