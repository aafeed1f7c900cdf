"""The plan: what comes next, from what is known. No training, no torch."""

import dataclasses
import math
from collections.abc import Callable

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


def spec(**changes: object) -> CompareSpec:
    return CompareSpec(
        **{"schedules": ("constant", "cosine"), "lrs": (0.05, 0.1, 0.2), "epochs": 2, **changes}
    )  # type: ignore[arg-type]


def trained(trial: TrialSpec, accuracy: float | None) -> History:
    """A history that ended with this validation accuracy; diverged if there is none."""
    if accuracy is None:
        return History(trial, end=TrialEnd(trial.id, "diverged", "nan", start_loss=2.3))
    epoch = EpochRecord(trial.id, 1, EPOCH, 0.1, 0.1, 1.0, 0.5, 1 - accuracy, accuracy, 1.0, 1e3)
    end = TrialEnd(trial.id, "done", epochs=1, steps=EPOCH, test_accuracy=accuracy)
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


def test_the_range_test_comes_first_and_sets_the_centres() -> None:
    asked = spec(lrs=(), lr_points=3, schedules=("constant", "cosine", "constant(80%) + linear"))
    first = plan(asked, {}, {}, STEPS)
    assert first.stage == "find" and first.find == asked.range_test(asked.recipe)
    second = plan(asked, {}, {asked.range_test(asked.recipe).id: {"lr": 0.0812}}, STEPS)
    lrs = {name: sorted({t.lr for t in second.trials if t.name == name}) for name in asked.entrants}
    assert lrs["constant"] == [0.0405, 0.081, 0.162]
    for name in asked.entrants:
        factor = lr_factor(parse(name).table(lr=1, steps=2 * EPOCH, steps_per_epoch=EPOCH))
        assert len(lrs[name]) == 3
        assert lrs[name][1] == pytest.approx(0.081 * factor, rel=0.1)


def test_no_lr_is_tried_beyond_what_is_stable_for_its_schedule() -> None:
    asked = spec(lrs=(), lr_points=3, schedules=("constant", "cosine", "constant(80%) + linear"))
    _, known = run(asked, lambda trial: trial.lr, lr=0.1, stable=0.3)
    assert tuned(known, "constant") == [0.0125, 0.025, 0.05]
    for name in asked.schedules:
        factor = lr_factor(parse(name).table(lr=1, steps=2 * EPOCH, steps_per_epoch=EPOCH))
        assert len(tuned(known, name)) == 3
        assert 0.045 * factor < max(tuned(known, name)) <= 0.05 * factor


def test_an_extension_stops_at_what_is_stable() -> None:
    asked = spec(lrs=(), lr_points=3, schedules=("constant", "cosine"))
    stages, known = run(asked, lambda trial: trial.lr, lr=0.02, stable=0.6)
    assert tuned(known, "constant") == [0.01, 0.02, 0.04, 0.08]
    assert len(tuned(known, "cosine")) == 4 and max(tuned(known, "cosine")) <= 0.3
    assert stages[-1].notices == ()


def test_the_range_test_finds_the_stable_limit_and_leaves_verifying_to_the_tuning() -> None:
    test = CompareSpec().range_test(CompareSpec().recipe)
    assert (test.verify, test.max_stable) == (False, True)
    find = FindSpec(verify=True, max_stable=False)
    test = CompareSpec(find=find).range_test(CompareSpec().recipe)
    assert (test.verify, test.max_stable) == (True, False)


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
    known = {}
    for trial in plan(asked, {}, {}, STEPS).trials:
        low = trial.lr == 0.2 and trial.seed == TUNING_SEED
        history = trained(trial, 0.55 if low else 1.0 if trial.lr == 0.2 else 0.77)
        assert history.end is not None
        end = dataclasses.replace(history.end, start_loss=start)
        known[trial.id] = dataclasses.replace(history, end=end)
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
    asked = spec(lrs=(), lr_points=3, schedules=("constant", "cosine"))

    def score(trial: TrialSpec) -> float:
        return trial.lr if trial.schedule == "cosine" else best_at(0.1)(trial)  # type: ignore[return-value]

    stages, known = run(asked, score)
    assert tuned(known, "constant") == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert len(tuned(known, "cosine")) == 5
    assert [stage.stage for stage in stages] == ["tune", "tune", "tune", "final", "done"]
    notice = stages[-1].notices[0]
    assert "best LR of cosine is the highest" in str(notice)
    assert chosen(stages[-1]) == {"constant": 0.1, "cosine": max(tuned(known, "cosine"))}


def test_learning_rates_that_were_named_are_used_as_they_are_not_extended_but_flagged() -> None:
    stages, known = run(spec(), lambda trial: trial.lr, stable=0.1)
    assert tuned(known, "constant") == tuned(known, "cosine") == [0.05, 0.1, 0.2]
    assert len(stages[-1].notices) == 1
    assert "the best LR of constant, cosine is the highest" in str(stages[-1].notices[0])


PRODIGY = Arm(name="prodigy", changes=(("optimizer", "prodigy"),), schedule="constant", lr=1.0)


def test_arms_with_a_usual_lr_which_refuse_lrs_are_advised_more_points() -> None:
    asked = spec(lrs=(), lr_points=3, arms=(PRODIGY,))
    stages, _ = run(asked, lambda trial: trial.lr)
    assert all("--lr-points 5" in notice.remedy for notice in stages[-1].notices)
    assert "prodigy" in str(stages[-1].notices[0])


def test_the_tuning_seeds_are_averaged_and_one_that_failed_goes_before() -> None:
    table = {(0.05, 0): 0.6, (0.1, 0): 0.9, (0.2, 0): 0.99, (0.05, 1): 0.6, (0.1, 1): 0.7}

    def score(trial: TrialSpec) -> float | None:
        return table.get((trial.lr, trial.seed - TUNING_SEED)) if trial.stage == "tune" else 0.5

    stages, _ = run(spec(schedules=("cosine",)), score)
    assert chosen(stages[-1]) == {"cosine": 0.1}
    stages, _ = run(spec(schedules=("cosine",), tuning_seeds=1), score)
    assert chosen(stages[-1]) == {"cosine": 0.2}


def test_ties_of_accuracy_go_to_the_lower_loss() -> None:
    asked = spec(lrs=(0.1, 0.2), schedules=("cosine",))
    first = plan(asked, {}, {}, STEPS)
    known = {}
    for trial in first.trials:
        history = trained(trial, 0.9)
        loss = 0.3 if trial.lr == 0.2 else 0.4
        epochs = tuple(dataclasses.replace(epoch, val_loss=loss) for epoch in history.epochs)
        known[trial.id] = dataclasses.replace(history, epochs=epochs)
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
    assert {trial.stage for trial in fixed} == {"final"}
    assert {trial.lr for trial in fixed} == {0.3}


def test_a_schedule_whose_peak_is_not_its_base_lr_is_compared_at_equal_peaks() -> None:
    asked = spec(schedules=("constant", "noam(d=512, warmup=10%)"), tuning_seeds=1)
    first = plan(asked, {}, {}, STEPS)
    noam = parse("noam(d=512, warmup=10%)")
    peaks = [
        max(noam.table(lr=trial.lr, steps=2 * EPOCH, steps_per_epoch=EPOCH))
        for trial in first.trials
        if trial.schedule.startswith("noam")
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
    smaller = spec().recipe_at(64)
    find = spec().find.model_copy(update={"recipe": smaller})
    for asked in (spec(), spec(recipe=smaller, find=find)):
        both = asked.model_copy(update={"batch_sizes": (64, 128)}).grown_from(spec())
        assert (both.batch_sizes, both.recipe.batch_size) == ((64, 128), 128)


def test_each_batch_size_has_a_range_test_of_its_own() -> None:
    asked = spec(lrs=(), lr_points=3, batch_sizes=(64, 128), schedules=("constant",))
    steps = {64: 2 * EPOCH, 128: EPOCH}
    finds = [asked.range_test(asked.recipe_at(size)) for size in (64, 128)]
    assert finds[0].id != finds[1].id
    first = plan(asked, {}, {}, steps)
    assert first.find == finds[0]
    second = plan(asked, {}, {finds[0].id: {"lr": 0.05}}, steps)
    assert second.stage == "find" and second.find == finds[1]
    third = plan(asked, {}, {finds[0].id: {"lr": 0.05}, finds[1].id: {"lr": 0.1}}, steps)
    assert {t.lr for t in third.trials if t.recipe.batch_size == 64} == {0.025, 0.05, 0.1}
    assert {t.lr for t in third.trials if t.recipe.batch_size == 128} == {0.05, 0.1, 0.2}


def test_successive_halving_trains_only_the_best_for_longer() -> None:
    asked = spec(lrs=(), lr_points=5, epochs=8, tuning_seeds=1, halving=True)
    stages, known = run(asked, best_at(0.1))
    trials = [h.spec for h in known.values() if h.spec.stage == "tune"]
    for name in asked.schedules:
        mine = [t for t in trials if t.name == name]
        assert {n: len([t for t in mine if t.epochs == n]) for n in (2, 4, 8)} == {2: 5, 4: 2, 8: 1}
    assert {t.stretch for t in trials if t.epochs == 2} == {None}
    assert [stage.stage for stage in stages] == ["tune", "tune", "tune", "final", "done"]
    assert chosen(stages[-1])["constant"] == 0.1


def test_halving_extends_the_grid_for_every_schedule_alike() -> None:
    asked = spec(lrs=(), lr_points=3, epochs=4, tuning_seeds=1, halving=True)
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
