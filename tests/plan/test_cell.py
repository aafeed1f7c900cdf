"""Arms and weight decays in a plan: centres, steps, growth; that a simulated optimum is found."""

import math
from typing import Any

import numpy as np
import pytest

from lrbench.errors import UsageError
from lrbench.inputs import all_options, compare_spec
from lrbench.options import Arm, CompareSpec, TrialSpec
from lrbench.plan import plan
from lrbench.records import labelled
from tests.plan.test_plan import STEPS, Score, run, spec

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


LRS, DECAYS = (0.025, 0.05, 0.1, 0.2, 0.4), (1e-4, 1e-3, 1e-2)


def decaying(**changes: Any) -> CompareSpec:
    return spec(**{"schedules": ("cosine", "linear"), "lrs": LRS, "weight_decays": DECAYS,
                   "seeds": 2, **changes})  # fmt: skip


def valley(lr: float, decay: float, noise: float = 0.0) -> Score:
    """An accuracy that falls off with the distance to an optimum, and a little more for `linear`,
    whose optimum lies at half the LR."""
    random = np.random.default_rng(0)

    def value(trial: TrialSpec) -> float:
        at = lr / 2 if trial.schedule == "linear" else lr
        far = math.log10(trial.lr / at) ** 2 + math.log10(trial.recipe.weight_decay / decay) ** 2
        return float(0.95 - 0.02 * far + random.normal(0, noise))

    return value


@pytest.mark.parametrize("lr", [0.1, 0.2])
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("noise", [0.0, 0.0005])
def test_the_optimum_is_found(lr: float, decay: float, noise: float) -> None:
    _, known = run(decaying(), valley(lr, decay, noise))
    done = plan(decaying(), known, {}, STEPS)
    found = {(t.schedule, t.lr, t.recipe.weight_decay) for t in done.finals}
    assert found == {("cosine", lr, decay), ("linear", lr / 2, decay)}


def test_one_lr_is_tuned_over_the_weight_decays_alone() -> None:
    one = decaying(lrs=(0.1,))
    done = plan(one, run(one, valley(0.1, 1e-3))[1], {}, STEPS)
    assert {t.recipe.weight_decay for t in done.finals} == {1e-3}


def test_the_best_at_the_edge_is_said() -> None:
    done = plan(decaying(), run(decaying(), valley(0.1, 1.0))[1], {}, STEPS)
    assert "best weight decay of cosine, linear is the highest" in " ".join(map(str, done.notices))


def test_it_is_typed_and_grows() -> None:
    asked = compare_spec({"weight_decay": "1e-3,1e-4", "schedule": ["cosine"]})
    assert (asked.recipe.weight_decay, asked.weight_decays) == (1e-3, (1e-3, 1e-4))
    assert compare_spec(all_options(asked)) == asked
    older = compare_spec({"weight_decay": "1e-4", "schedule": ["cosine"]})
    assert older.weight_decays == () and older.recipe.weight_decay == 1e-4
    grown = asked.grown_from(older)
    assert (grown.recipe.weight_decay, grown.weight_decays) == (1e-4, (1e-4, 1e-3))


def test_another_optimizer_is_tuned_over_the_same_and_an_own_value_refused() -> None:
    options = {"weight_decay": [1e-3, 1e-2], "schedule": ["cosine"]}
    adamw = compare_spec({**options, "arm": ["a: optimizer=adamw"]}).arms[0]
    assert adamw == Arm(name="a", settings=("optimizer=adamw",), changes=(("optimizer", "adamw"),))
    with pytest.raises(UsageError, match="--weight-decay has several values"):
        compare_spec({**options, "arm": ["a: weight_decay=0.1"]})
    with pytest.raises(UsageError, match="leave out @ LR"):
        compare_spec({**options, "schedule": ["cosine @ 0.1"]})
