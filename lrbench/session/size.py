"""The size and duration of a comparison, and the largest one that fits a time budget."""

import math
from collections import Counter
from collections.abc import Container, Mapping
from typing import get_args

from lrbench.errors import UsageError
from lrbench.execute import Workbench
from lrbench.options import CompareSpec, FindSpec
from lrbench.plan import Plan, Stage, StepsPerEpoch
from lrbench.plan.cell import CellPlan
from lrbench.run.store import Run

# Evaluation and bookkeeping on top of the training steps, measured in full runs on CPU.
OVERHEAD = 1.2
Amounts = Mapping[str, Mapping[str, int]]
"""Trials, steps and images of each stage."""


def steps_by_batch_size(spec: CompareSpec, bench: Workbench) -> dict[int, int]:
    """Optimizer steps per epoch for each effective batch size that is trained.

    Raises:
        UsageError: several batch sizes, but the task uses the same one for some of them.
    """
    sizes = {cell.recipe.batch_size: bench.at(cell.recipe) for cell in spec.cells}
    samples = {each.tuning_task.samples_per_step for each in sizes.values()}
    if len(samples) < len(sizes):
        raise UsageError(
            f"--batch-size {','.join(map(str, sizes))}: this task sets its own batch size",
            hint="leave it out, or let the task take batch_size",
        )
    return {each.effective_batch: bench.at(each).steps_per_epoch for each in spec.recipes}


def written_steps(steps: StepsPerEpoch) -> int | dict[str, int]:
    """Steps per epoch as written to files: one number, or several for several batch sizes."""
    if len(steps) == 1:
        return next(iter(steps.values()))
    return {str(size): count for size, count in steps.items()}  # JSON keys are text


def find_steps(find: FindSpec) -> tuple[int, int]:
    """Training steps of a range test: of its sweeps, counting an epoch per LR as one step, and of
    the short trainings that usually follow."""
    from lrbench.rangetest.find import STABLE_LRS, VERIFY_LRS

    seeds = min(find.verify_seeds, len(find.seeds))
    probes = VERIFY_LRS * seeds * (find.verify is not False)
    probes += STABLE_LRS * (find.max_stable is not False)
    return len(find.seeds) * find.points, probes * find.verify_steps


def work(
    spec: CompareSpec, steps_per_epoch: StepsPerEpoch, finds: Container[str] = ()
) -> dict[str, Counter[str]]:
    """Trials, steps and training samples of each stage of a comparison, apart from the range tests
    in `finds`, which are done.

    Extensions of the grid are not included: they are only known after tuning.
    """
    points = spec.lr_points if spec.auto else len(spec.lrs)
    points *= len(spec.weight_decays) or 1
    tuning = points * spec.tuning_seeds if points > 1 else 0
    find = spec.range_test(spec.recipe)
    testing = sum(find_steps(find))
    stages = {stage: Counter(trials=0, steps=0, images=0) for stage in ("find", "tune", "final")}

    def count(stage: str, trials: int, steps: int, batch: int) -> None:
        stages[stage].update(trials=trials, steps=steps, images=steps * batch)

    plans = [CellPlan(spec, cell, steps_per_epoch) for cell in spec.cells]
    for test in dict.fromkeys(test for here in plans for test in here.range_tests()):
        if test.id not in finds:
            count("find", len(find.seeds), testing, test.recipe.effective_batch)
    for here in plans:
        for name in here.entered:
            batch = here.recipe(name).effective_batch
            steps = here.cell.epochs * steps_per_epoch[batch]
            if here.tuned(name):
                count("tune", tuning, tuning * steps, batch)
            count("final", spec.looks[-1], spec.looks[-1] * steps, batch)
    return stages


def left(
    spec: CompareSpec, steps_per_epoch: StepsPerEpoch, run: Run, settled: Plan
) -> dict[str, Counter[str]]:
    """An upper bound on the `work` left: a race may end before its last look."""
    stages, order = work(spec, steps_per_epoch, run.finds), get_args(Stage)
    ended = [history.spec for history in run.histories.values() if history.end is not None]
    for stage, amounts in stages.items():
        done, known = Counter[str](), Counter[str]()
        for trials, counter in ((ended, done), (settled.trials, known)):
            for trial in trials:
                if trial.stage == stage:
                    batch = trial.recipe.effective_batch
                    steps = trial.epochs * steps_per_epoch[batch]
                    counter.update(trials=1, steps=steps, images=steps * batch)
        is_over = order.index(stage) < order.index(settled.stage)
        for key, whole in amounts.items():
            amounts[key] = 0 if is_over else max(whole - done[key], known[key])
    return stages


def estimate_s(spec: CompareSpec, stages: Amounts, step_s: float, jobs: int = 1) -> float:
    """Estimated seconds for these amounts, given the seconds of a training step and `jobs` parallel
    trials. A range test trains no more than its seeds in parallel."""
    testing = stages["find"]["steps"] / min(jobs, len(spec.range_test(spec.recipe).seeds))
    steps = testing + (stages["tune"]["steps"] + stages["final"]["steps"]) / jobs
    return OVERHEAD * steps * step_s


def fit(
    spec: CompareSpec, steps_per_epoch: StepsPerEpoch, step_s: float, jobs: int = 1
) -> CompareSpec:
    """The largest plan within the time budget. If the requested one fits, epochs fill the budget;
    if not, final seeds are cut first, then epochs, then tuning seeds and learning rates.

    Raises:
        UsageError: not even the smallest honest plan fits (3 learning rates, 2 seeds, 1 epoch).
    """
    assert spec.time_budget_s is not None
    seeds = [min(spec.seeds, most) for most in (spec.seeds, 10, 5, 3, 2)]
    points = min(spec.lr_points, 3)
    sizes = [
        *((spec.epochs, {"seeds": count}) for count in seeds[:3]),
        (1, {"seeds": seeds[2]}),
        *((1, {"tuning_seeds": 1, "seeds": count}) for count in seeds[2:4]),
        *((1, {"tuning_seeds": 1, "seeds": count, "lr_points": points}) for count in seeds[3:]),
    ]
    for least, size in sizes:
        plans = [spec.model_copy(update={**size, "epochs": epochs}) for epochs in (1, 2)]
        once, twice = (estimate_s(p, work(p, steps_per_epoch), step_s, jobs) for p in plans)
        epochs = 1 + math.floor((spec.time_budget_s - once) / (twice - once))
        if epochs >= least:
            return plans[0].model_copy(update={"epochs": epochs})
    raise UsageError(
        f"--time-budget {spec.time_budget_s:g}s: the smallest plan takes about {once:.0f} s",
        hint=f"allow --time-budget {math.ceil(once / 60 * 1.1)}m, or name fewer schedules (-s), "
        "fewer LRs (--lr 0.05,0.1) or a smaller --model",
    )
