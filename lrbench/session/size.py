"""How large a comparison is, how long it takes, and the largest one within a time budget."""

from __future__ import annotations

import math

from lrbench.errors import UsageError
from lrbench.execute import Workbench
from lrbench.options import CompareSpec
from lrbench.plan import StepsPerEpoch
from lrbench.schedules import parse

# Evaluation and bookkeeping on top of the training steps, from full runs on CPU.
OVERHEAD = 1.2


def steps_by_batch_size(spec: CompareSpec, bench: Workbench) -> dict[int, int]:
    """Optimizer steps in an epoch, for each batch size of the comparison.

    Raises:
        UsageError: several batch sizes, and a task that trains on the same batches for all of them.
    """
    benches = {cell.recipe.batch_size: bench.at(cell.recipe) for cell in spec.cells}
    samples = {each.tuning_task.samples_per_step for each in benches.values()}
    if len(samples) < len(benches):
        raise UsageError(
            f"--batch-size {','.join(map(str, benches))}: this task sets its own batch size",
            hint="leave it out, or let the task take batch_size",
        )
    return {size: each.steps_per_epoch for size, each in benches.items()}


def written_steps(spec: CompareSpec, steps: StepsPerEpoch) -> int | dict[str, int]:
    """As files say it: one number, unless there are several batch sizes."""
    if not spec.batch_sizes:
        return steps[spec.recipe.batch_size]
    return {str(size): count for size, count in steps.items()}  # keys as JSON has them


def work(spec: CompareSpec, steps_per_epoch: StepsPerEpoch) -> dict[str, dict[str, int]]:
    """Trials, steps and training samples of each stage of a comparison with nothing done yet.

    Extensions of the grid are not in it: they are only known after tuning.
    """
    from lrbench.rangetest.find import STABLE_LRS, VERIFY_LRS

    tuned = len(spec.entrants) - sum(parse(name).fixed_lr is not None for name in spec.schedules)
    points = spec.lr_points if spec.auto else len(spec.lrs)
    tuning = points * tuned * spec.tuning_seeds if points > 1 else 0
    finals = spec.looks[-1] * len(spec.entrants)
    tests = spec.auto + sum(each.lr is None for each in spec.contenders)
    find = spec.range_test(spec.recipe)
    verifying = VERIFY_LRS * min(find.verify_seeds, len(find.seeds)) if find.verify else 0
    probes = verifying + STABLE_LRS * bool(find.max_stable)
    stages = {stage: {"trials": 0, "steps": 0, "images": 0} for stage in ("find", "tune", "final")}

    def count(stage: str, trials: int, steps: int, batch: int) -> None:
        for key, amount in (("trials", trials), ("steps", steps), ("images", steps * batch)):
            stages[stage][key] += amount

    sweep = len(find.seeds) * find.points + probes * find.verify_steps
    for batch in {cell.recipe.effective_batch for cell in spec.cells}:
        count("find", tests * len(find.seeds), tests * sweep, batch)
    for cell in spec.cells:
        batch = cell.recipe.effective_batch
        trial_steps = cell.epochs * steps_per_epoch[cell.recipe.batch_size]
        count("tune", tuning, tuning * trial_steps, batch)
        count("final", finals, finals * trial_steps, batch)
    return stages


def estimate_s(
    spec: CompareSpec, steps_per_epoch: StepsPerEpoch, step_s: float, jobs: int = 1
) -> float:
    """Seconds that the whole plan will take, from the time of one training step; range tests run
    alone, `jobs` trials at a time."""
    stages = work(spec, steps_per_epoch)
    steps = stages["find"]["steps"] + (stages["tune"]["steps"] + stages["final"]["steps"]) / jobs
    return OVERHEAD * steps * step_s


def fit(
    spec: CompareSpec, steps_per_epoch: StepsPerEpoch, step_s: float, jobs: int = 1
) -> CompareSpec:
    """The largest plan within the time budget: fewer final seeds, then fewer epochs, then fewer
    tuning seeds and learning rates than asked for, until it fits; else as many epochs as fit.

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
        smallest = spec.model_copy(update={**size, "epochs": 1})
        once = estimate_s(smallest, steps_per_epoch, step_s, jobs)
        twice_spec = smallest.model_copy(update={"epochs": 2})
        per_epoch = estimate_s(twice_spec, steps_per_epoch, step_s, jobs) - once
        epochs = 1 + math.floor((spec.time_budget_s - once) / per_epoch)
        if epochs >= least:
            return smallest.model_copy(update={"epochs": epochs})
    enough = math.ceil(once / 60 * 1.1)
    raise UsageError(
        f"--time-budget {spec.time_budget_s:g}s: the smallest plan takes about {once:.0f} s",
        hint=f"allow --time-budget {enough}m, or name fewer schedules (-s), fewer "
        "LRs (--lr 0.05,0.1) or a smaller --model",
    )
