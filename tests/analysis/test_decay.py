"""Pairs of LR and weight decay: what was chosen, its timescale, and the order of the schedules."""

from collections.abc import Callable

import pytest

from lrbench.analysis import Question, Summary, summarise
from lrbench.options import CompareSpec, TrialSpec
from lrbench.report.plots import plot
from tests.plan.test_plan import run

SPEC = CompareSpec(
    schedules=("cosine", "linear"), lrs=(0.1, 0.2), weight_decays=(1e-3, 1e-2), seeds=3
)


def summary(value: Callable[[TrialSpec], float], spec: CompareSpec = SPEC) -> Summary:
    return summarise(run(spec, value)[1].values(), Question(schedules=spec.schedules))


def turning(trial: TrialSpec) -> float:
    """`linear` is better with the large weight decay only."""
    better = (trial.recipe.weight_decay == 1e-2) == (trial.schedule == "linear")
    return 0.9 + 0.01 * better - 0.1 * (trial.lr - 0.1) + 0.001 * (trial.seed % 3)


def test_the_chosen_pair_is_in_the_ranking_with_its_timescale() -> None:
    found = summary(turning)
    chosen = found.decays[found.decays["chosen"]].set_index("schedule")
    for table in (chosen, found.ranking.set_index("schedule")):
        assert table["weight_decay"].to_dict() == {"cosine": 1e-3, "linear": 1e-2}
    steps = found.trials["steps"].iloc[0] / found.trials["epochs"].iloc[0]
    for row in chosen.to_dict("records"):
        lr, decay = row["lr"], row["weight_decay"]
        assert steps == 28 and row["timescale"] * steps == pytest.approx(1 / (lr * decay))


def test_the_sensitivity_is_that_at_the_chosen_weight_decay() -> None:
    rows = summary(turning).sensitivity
    assert rows.groupby("schedule")["n"].sum().to_dict() == {"cosine": 4, "linear": 4}


def test_that_the_order_changes_is_said_as_evidence_of_tuning() -> None:
    said = summary(turning).certainty
    assert "0.001 for cosine; 0.01 for linear" in said
    assert "cosine leads at 0.001; linear leads at 0.01: the order of the schedules changes" in said
    three = SPEC.model_copy(update={"schedules": ("cosine", "linear", "step")})
    led = summary(lambda t: turning(t) + 0.1 * (t.schedule == "step"), three).certainty
    assert "step leads at every one; only places behind it change." in led
    same = summary(lambda t: 0.9 + 0.01 * (t.schedule == "linear") + 0.001 * (t.seed % 3))
    assert "is the same at every weight decay" in same.certainty


def test_there_is_a_map_for_each_schedule_and_none_of_one_weight_decay() -> None:
    panels = plot(summary(turning), "decays").axes
    assert [axes.get_title("left") for axes in panels] == ["cosine", "linear"]
    assert [len(axes.patches) for axes in panels] == [4, 4]
    one = summary(turning, SPEC.model_copy(update={"weight_decays": ()}))
    assert not len(one.decays) and "Weight decay" not in one.certainty
