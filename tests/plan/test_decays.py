"""Weight decays in a plan: a simulated optimum is found, and one value changes nothing."""

import math

import numpy as np
import pytest

from lrbench.errors import UsageError
from lrbench.inputs import all_options, compare_spec
from lrbench.options import Arm, CompareSpec, TrialSpec
from lrbench.plan import plan
from tests.plan.test_plan import STEPS, run

LRS, DECAYS = (0.025, 0.05, 0.1, 0.2, 0.4), (1e-4, 1e-3, 1e-2)


def spec(**changes: object) -> CompareSpec:
    fields = {"schedules": ("cosine", "linear"), "lrs": LRS, "weight_decays": DECAYS, "seeds": 2}
    return CompareSpec(**{**fields, **changes})  # type: ignore[arg-type]


def valley(lr: float, decay: float, noise: float = 0.0, seed: int = 0) -> object:
    """An accuracy that falls off with the distance to an optimum, and a little more for `linear`,
    whose optimum lies at half the LR."""
    random = np.random.default_rng(seed)

    def value(trial: TrialSpec) -> float:
        at = lr / 2 if trial.schedule == "linear" else lr
        far = math.log10(trial.lr / at) ** 2 + math.log10(trial.recipe.weight_decay / decay) ** 2
        return float(0.95 - 0.02 * far + random.normal(0, noise))

    return value


@pytest.mark.parametrize("lr", [0.1, 0.2])
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("noise", [0.0, 0.0005])
def test_the_optimum_is_found(lr: float, decay: float, noise: float) -> None:
    _, known = run(spec(), valley(lr, decay, noise))  # type: ignore[arg-type]
    done = plan(spec(), known, {}, STEPS)
    found = {(t.schedule, t.lr, t.recipe.weight_decay) for t in done.finals}
    assert found == {("cosine", lr, decay), ("linear", lr / 2, decay)}


def test_every_schedule_is_tuned_over_as_many_pairs() -> None:
    first = plan(spec(), {}, {}, STEPS)
    pairs = [(t.schedule, t.lr, t.recipe.weight_decay, t.seed) for t in first.trials]
    assert len(set(pairs)) == len(pairs) == 2 * len(LRS) * len(DECAYS) * 2


def test_one_lr_is_tuned_over_the_weight_decays_alone() -> None:
    one = spec(lrs=(0.1,))
    done = plan(one, run(one, valley(0.1, 1e-3))[1], {}, STEPS)  # type: ignore[arg-type]
    assert {t.recipe.weight_decay for t in done.finals} == {1e-3}


def test_the_trials_are_those_of_each_weight_decay_alone() -> None:
    alone = spec(weight_decays=(), recipe=spec().recipe.model_copy(update={"weight_decay": 1e-3}))
    single = {trial.id for trial in plan(alone, {}, {}, STEPS).trials}
    assert single < {trial.id for trial in plan(spec(), {}, {}, STEPS).trials}


def test_the_best_at_the_edge_is_said() -> None:
    done = plan(spec(), run(spec(), valley(0.1, 1.0))[1], {}, STEPS)  # type: ignore[arg-type]
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
