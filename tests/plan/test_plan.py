"""The plan: what comes next, from what is known. No training, no torch."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lrbench.errors import NoLearningRate
from lrbench.options import TUNING_SEED, Arm, CompareSpec, FindSpec, TrialSpec
from lrbench.plan import Plan, plan
from lrbench.plan.factors import lr_factor
from lrbench.records import EpochRecord, History, TrialEnd
from lrbench.schedules import parse

EPOCH = 28
STEPS = {128: EPOCH, 512: EPOCH // 4}
Score = Callable[[TrialSpec], float | None]


def spec(**changes: Any) -> CompareSpec:
    fields = {"schedules": ("constant", "cosine"), "lrs": (0.05, 0.1, 0.2), "epochs": 2}
    return CompareSpec(**{**fields, **changes})


def centred(**changes: Any) -> CompareSpec:
    """Tuned at three LRs around the answer of a range test."""
    return spec(**{"lrs": (), "lr_points": 3, **changes})


def trained(
    trial: TrialSpec, accuracy: float | None, loss: float | None = None, start: float | None = None
) -> History:
    """A history that ended with this validation accuracy; diverged if there is none."""
    if accuracy is None:
        return History(trial, end=TrialEnd(trial.id, "diverged", "nan", start_loss=2.3))
    loss = 1 - accuracy if loss is None else loss
    epoch = EpochRecord(trial.id, 1, EPOCH, 0.1, 0.1, 1.0, 0.5, loss, accuracy, 1.0, 1e3)
    end = TrialEnd(
        trial.id, "done", epochs=1, steps=EPOCH, test_accuracy=accuracy, start_loss=start
    )
    return History(trial, (epoch,), end=end)


def run(
    asked: CompareSpec, score: Score, lr: float | None = 0.1, stable: float | None = None
) -> tuple[list[Plan], dict[str, History]]:
    """Follow the plan to its end, scoring each trial by a formula."""
    known: dict[str, History] = {}
    finds = {asked.range_test(asked.recipe).id: {"lr": lr, "max_stable_lr": stable}}
    stages = []
    while True:
        stages.append(plan(asked, known, finds, STEPS))
        if stages[-1].stage == "done":
            return stages, known
        for trial in stages[-1].trials:
            assert trial.id not in known, "a done trial was planned again"
            known[trial.id] = trained(trial, score(trial))


def best_at(lr: float) -> Score:
    return lambda trial: 0.9 - 0.1 * abs(math.log(trial.lr / lr))


def chosen(settled: Plan) -> dict[str, float]:
    """The LR of each schedule's final trials."""
    return {trial.name: trial.lr for trial in settled.finals}


def tuned(known: dict[str, History], name: str) -> list[float]:
    """The learning rates that a schedule was tuned at, for as long as its finals."""
    specs = [h.spec for h in known.values() if h.spec.name == name]
    longest = max(trial.epochs for trial in specs)
    return sorted({t.lr for t in specs if t.stage == "tune" and t.epochs == longest})


PLATEAU = ("constant", "cosine", "constant(80%) + linear")


def factor_of(name: str) -> float:
    return lr_factor(parse(name).table(lr=1, steps=2 * EPOCH, steps_per_epoch=EPOCH))


def test_the_range_test_comes_first_and_sets_the_centres() -> None:
    asked = centred(schedules=PLATEAU)
    first = plan(asked, {}, {}, STEPS)
    assert first.stage == "find" and first.find == asked.range_test(asked.recipe)
    second = plan(asked, {}, {first.find.id: {"lr": 0.0812}}, STEPS)
    assert {t.lr for t in second.trials if t.name == "constant"} == {0.0405, 0.081, 0.162}
    for name in PLATEAU:
        _, middle, _ = sorted({t.lr for t in second.trials if t.name == name})
        assert middle == pytest.approx(0.081 * factor_of(name), rel=0.1)


def test_no_lr_is_tried_beyond_what_is_stable_for_its_schedule() -> None:
    _, known = run(centred(schedules=PLATEAU), lambda trial: trial.lr, lr=0.1, stable=0.3)
    assert tuned(known, "constant") == [0.0125, 0.025, 0.05]
    for name in PLATEAU:
        _, _, most = tuned(known, name)
        assert 0.045 * factor_of(name) < most <= 0.05 * factor_of(name)


def test_an_extension_stops_at_what_is_stable() -> None:
    stages, known = run(centred(), lambda trial: trial.lr, lr=0.02, stable=0.6)
    assert tuned(known, "constant") == [0.01, 0.02, 0.04, 0.08]
    assert len(tuned(known, "cosine")) == 4 and max(tuned(known, "cosine")) <= 0.3
    assert stages[-1].notices == ()


def test_the_range_test_finds_the_stable_limit_and_leaves_verifying_to_the_tuning() -> None:
    asked_otherwise = CompareSpec(find=FindSpec(verify=True, max_stable=False))
    for asked, verify in ((CompareSpec(), False), (asked_otherwise, True)):
        test = asked.range_test(asked.recipe)
        assert (test.verify, test.max_stable) == (verify, not verify)


def test_a_collapse_in_one_schedule_warns_all() -> None:
    """The largest LR has the best mean of what survived, and one trial in six collapsed there."""
    asked = spec(schedules=("constant", "cosine", "linear"))

    def score(trial: TrialSpec) -> float:
        collapsed = trial.schedule == "linear" and trial.seed == TUNING_SEED and trial.lr == 0.2
        return 0.1 if collapsed else {0.05: 0.9, 0.1: 0.96, 0.2: 0.965}[trial.lr]

    stages, _ = run(asked, score)
    assert chosen(stages[-1]) == {"constant": 0.1, "cosine": 0.1, "linear": 0.1}
    choice = stages[-1].choices["linear", 2, 128]
    assert choice.reason == (
        "LR 0.1, 0 of 2 trials collapsed; 0.2 had the best mean but 28 % of its trials may collapse"
    )


@pytest.mark.parametrize(("start", "taken"), [(math.log(2), 0.1), (math.log(10), 0.2)])
def test_what_a_collapse_is_depends_on_the_loss_before_training(start: float, taken: float) -> None:
    """Of two classes 55 % is nothing, of ten it is more than half of what there is to gain."""
    asked = spec(lrs=(0.1, 0.2), schedules=("cosine",))
    accuracies = {(0.1, 0): 0.77, (0.1, 1): 0.77, (0.2, 0): 0.55, (0.2, 1): 1.0}
    known = {
        t.id: trained(t, accuracies[t.lr, t.seed - TUNING_SEED], start=start)
        for t in plan(asked, {}, {}, STEPS).trials
    }
    assert chosen(plan(asked, known, {}, STEPS)) == {"cosine": taken}


def test_without_a_defended_lr_it_says_what_to_try() -> None:
    asked = spec(lrs=())
    answer = {"lr": None, "reasons": ["flat"], "rules": {"steepest": 0.03}}
    with pytest.raises(NoLearningRate, match=r"flat.*try --lr 0\.03"):
        plan(asked, {}, {asked.range_test(asked.recipe).id: answer}, STEPS)


def test_each_schedule_gets_the_same_learning_rates_and_the_finals_the_same_seeds() -> None:
    stages, known = run(spec(seeds=4), best_at(0.1))
    assert tuned(known, "constant") == tuned(known, "cosine") == [0.05, 0.1, 0.2]
    finals = [h.spec for h in known.values() if h.spec.stage == "final"]
    assert {trial.lr for trial in finals} == {0.1}
    assert sorted(t.seed for t in finals if t.schedule == "cosine") == [0, 1, 2, 3]
    tuning_seeds = {h.spec.seed for h in known.values() if h.spec.stage == "tune"}
    assert tuning_seeds == {TUNING_SEED, TUNING_SEED + 1}
    assert [stage.stage for stage in stages] == ["tune", "final", "done"]
    untuned, _ = run(spec(lrs=(0.1,)), best_at(0.1))
    assert [stage.stage for stage in untuned] == ["final", "done"]


def test_a_best_lr_on_the_edge_adds_points_for_every_schedule_at_most_twice() -> None:
    stages, known = run(
        centred(), lambda trial: trial.lr if trial.name == "cosine" else best_at(0.1)(trial)
    )
    assert tuned(known, "constant") == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert len(tuned(known, "cosine")) == 5
    assert [stage.stage for stage in stages] == ["tune", "tune", "tune", "final", "done"]
    assert "best LR of cosine is the highest" in str(stages[-1].notices[0])
    assert chosen(stages[-1]) == {"constant": 0.1, "cosine": max(tuned(known, "cosine"))}


def test_learning_rates_that_were_named_are_used_as_they_are_not_extended_but_flagged() -> None:
    stages, known = run(spec(), lambda trial: trial.lr, stable=0.1)
    assert tuned(known, "constant") == tuned(known, "cosine") == [0.05, 0.1, 0.2]
    (notice,) = stages[-1].notices
    assert "the best LR of constant, cosine is the highest" in str(notice)


def test_lrs_at_which_nothing_ended_well_are_no_optimum_at_an_edge() -> None:
    stages, _ = run(spec(), lambda trial: None)
    assert stages[-1].stage == "done" and not stages[-1].notices


def test_arms_with_a_usual_lr_which_refuse_lrs_are_advised_more_points() -> None:
    prodigy = Arm(name="prodigy", changes=(("optimizer", "prodigy"),), schedule="constant", lr=1.0)
    stages, _ = run(centred(arms=(prodigy,)), lambda trial: trial.lr)
    assert all("--lr-points 5" in notice.remedy for notice in stages[-1].notices)
    assert "prodigy" in str(stages[-1].notices[0])


def test_the_tuning_seeds_are_averaged_and_one_that_failed_goes_before() -> None:
    table = {(0.05, 0): 0.6, (0.1, 0): 0.9, (0.2, 0): 0.99, (0.05, 1): 0.6, (0.1, 1): 0.7}

    def score(trial: TrialSpec) -> float | None:
        return table.get((trial.lr, trial.seed - TUNING_SEED)) if trial.stage == "tune" else 0.5

    for seeds, taken in ((2, 0.1), (1, 0.2)):
        stages, _ = run(spec(schedules=("cosine",), tuning_seeds=seeds), score)
        assert chosen(stages[-1]) == {"cosine": taken}


def test_ties_of_accuracy_go_to_the_lower_loss() -> None:
    asked = spec(lrs=(0.1, 0.2), schedules=("cosine",))
    losses = {0.1: 0.4, 0.2: 0.3}
    known = {t.id: trained(t, 0.9, losses[t.lr]) for t in plan(asked, {}, {}, STEPS).trials}
    assert chosen(plan(asked, known, {}, STEPS)) == {"cosine": 0.2}


def test_more_seeds_and_schedules_reuse_what_is_there() -> None:
    small = spec(seeds=2, tuning_seeds=1)
    _, known = run(small, best_at(0.1))
    left = plan(spec(tuning_seeds=2).grown_from(small), known, {}, STEPS)
    assert left.stage == "tune" and {t.seed for t in left.trials} == {TUNING_SEED + 1}
    more = spec(seeds=3, tuning_seeds=1, schedules=("constant", "cosine", "linear"))
    left = plan(more.grown_from(small), known, {}, STEPS)
    assert {trial.schedule for trial in left.trials} == {"linear"}
    assert left.stage == "tune"


def test_a_schedule_that_names_its_lr_is_trained_at_that_one_alone() -> None:
    asked = spec(schedules=("constant", "OneCycleLR(max_lr=0.3, total_steps=56)"))
    _, known = run(asked, best_at(0.1))
    fixed = [h.spec for h in known.values() if h.spec.schedule.startswith("OneCycleLR")]
    assert {(trial.stage, trial.lr) for trial in fixed} == {("final", 0.3)}


def test_a_schedule_whose_peak_is_not_its_base_lr_is_compared_at_equal_peaks() -> None:
    noam = "noam(d=512, warmup=10%)"
    first = plan(spec(schedules=(noam,), tuning_seeds=1), {}, {}, STEPS)
    peaks = [
        max(parse(noam).table(lr=trial.lr, steps=2 * EPOCH, steps_per_epoch=EPOCH))
        for trial in first.trials
    ]
    assert sorted(peaks) == pytest.approx([0.05, 0.1, 0.2])


def test_every_budget_is_tuned_and_trained_for_itself() -> None:
    asked = spec(budgets=(1, 2, 4), epochs=4, seeds=2, schedules=("step(2ep)", "cosine"))
    stages, known = run(asked, lambda trial: best_at(0.05 * trial.epochs)(trial))
    assert [stage.stage for stage in stages] == ["tune", "final", "done"]
    for epochs in (1, 2, 4):
        mine = [h.spec for h in known.values() if h.spec.epochs == epochs]
        assert len([t for t in mine if t.stage == "tune"]) == 3 * 2 * 2
        assert {t.lr for t in mine if t.stage == "final"} == {0.05 * epochs}
    at_one = [h.spec for h in known.values() if h.spec.epochs == 1]
    assert {t.stretch for t in at_one if t.schedule == "step(2ep)"} == {0.25}
    assert {t.stretch for t in at_one if t.schedule == "cosine"} == {None}
    assert {str(t.trained(t.schedule)) for t in at_one if t.stretch} == {"step(0.5ep)"}


def test_the_whole_budget_is_the_ordinary_run() -> None:
    _, plain = run(spec(epochs=4), best_at(0.1))
    stages, _ = run(spec(epochs=4, budgets=(2, 4)), best_at(0.1))
    assert {trial.id for trial in stages[-1].finals} > {
        h.spec.id for h in plain.values() if h.spec.stage == "final"
    }


def test_budgets_and_batch_sizes_may_be_added_to_a_run_in_any_order() -> None:
    small = spec(epochs=4)
    grown = spec(epochs=4, budgets=(2,)).grown_from(small)
    assert grown.budgets == spec(epochs=4).grown_from(grown).budgets == (2, 4)
    smaller = spec().recipe.model_copy(update={"batch_size": 64})
    find = spec().find.model_copy(update={"recipe": smaller})
    for asked in (spec(), spec(recipe=smaller, find=find)):
        both = asked.model_copy(update={"batch_sizes": (64, 128)}).grown_from(spec())
        assert (both.batch_sizes, both.recipe.batch_size) == ((64, 128), 128)


def test_each_batch_size_has_a_range_test_of_its_own() -> None:
    asked = centred(batch_sizes=(64, 128), schedules=("constant",))
    steps = {64: 2 * EPOCH, 128: EPOCH}
    answers: dict[str, Any] = {}
    for size, answer in ((64, 0.05), (128, 0.1)):
        found = plan(asked, {}, answers, steps)
        test = asked.range_test(asked.recipe.model_copy(update={"batch_size": size}))
        assert found.stage == "find" and found.find == test and test.id not in answers
        answers[test.id] = {"lr": answer}
    lrs = {(t.recipe.batch_size, t.lr) for t in plan(asked, {}, answers, steps).trials}
    assert lrs == {(64, 0.025), (64, 0.05), (64, 0.1), (128, 0.05), (128, 0.1), (128, 0.2)}


def test_successive_halving_trains_only_the_best_for_longer() -> None:
    asked = centred(lr_points=5, epochs=8, tuning_seeds=1, halving=True)
    stages, known = run(asked, best_at(0.1))
    trials = [h.spec for h in known.values() if h.spec.stage == "tune"]
    for name in asked.schedules:
        assert Counter(t.epochs for t in trials if t.name == name) == {2: 5, 4: 2, 8: 1}
    assert {t.stretch for t in trials if t.epochs == 2} == {None}
    assert [stage.stage for stage in stages] == ["tune", "tune", "tune", "final", "done"]
    assert chosen(stages[-1])["constant"] == 0.1


def test_halving_extends_the_grid_for_every_schedule_alike() -> None:
    asked = centred(epochs=4, tuning_seeds=1, halving=True)
    stages, known = run(asked, lambda trial: trial.lr)
    for name in asked.schedules:
        first, *more = tuned(known, name)
        assert more == pytest.approx([2 * first, 4 * first])
        assert chosen(stages[-1])[name] == more[-1]
    assert tuned(known, "constant") == [0.2, 0.4, 0.8]
    assert "is the highest that was tried" in str(stages[-1].notices[0])


def test_halving_of_one_epoch_is_a_grid() -> None:
    _, halved = run(spec(epochs=1, halving=True), best_at(0.1))
    _, grid = run(spec(epochs=1), best_at(0.1))
    assert set(halved) == set(grid)
