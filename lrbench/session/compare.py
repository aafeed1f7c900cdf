"""From a spec to a finished run directory: plan, execute, write down, and again until done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrbench.errors import LrbenchError, MachineError, UsageError
from lrbench.execute import EXECUTORS, Host, Workbench
from lrbench.experiment import SIZE, CompareSpec, TrialSpec
from lrbench.plan import Plan, StepsPerEpoch, plan
from lrbench.records import Record, TrialEnd
from lrbench.run import conditions
from lrbench.run.material import code_of, refuse_changes
from lrbench.run.store import RunDir
from lrbench.schedules import parse


@dataclass(frozen=True)
class Planned:
    """A stage begins."""

    plan: Plan


@dataclass(frozen=True)
class Swept:
    """The range test goes on, or has ended with its result."""

    event: Any


@dataclass(frozen=True)
class Trained:
    """A trial has started (no records yet) or left records."""

    trial: TrialSpec
    records: tuple[Record, ...]


Event = Planned | Swept | Trained


def run_comparison(
    spec: CompareSpec,
    run: RunDir,
    bench: Workbench,
    about: Mapping[str, Any],
    executor: str = "serial",
) -> Iterator[Event]:
    """Do what is left of a comparison; a record is on the disk before it is yielded.

    `about` is added to the manifest. The caller holds `run.writer()`. The last event is a
    `Planned` whose stage is `done`.
    """
    execute = EXECUTORS.get(executor, option="--executor").make
    steps_per_epoch = steps_by_batch_size(spec, bench)
    _made_ready(run, retry_failed=bench.host.retry_failed)
    run.write_manifest({**continued(spec, run, bench), **about})
    most, failures = bench.host.max_failures, list[TrialEnd]()
    while True:
        known = run.known()
        stage = plan(spec, known.histories, known.finds, steps_per_epoch)
        yield Planned(stage)
        if stage.find is not None:
            for event in bench.find(stage.find):
                yield Swept(event)
            run.save_find(stage.find.id, event.to_dict())
        elif stage.trials:
            for trial, records in execute(bench, run, stage.trials):
                yield Trained(trial, tuple(records))
                failures += [r for r in records if isinstance(r, TrialEnd) and r.status == "failed"]
                if most is not None and len(failures) >= most:
                    raise _too_many(failures)
        else:
            return


def _made_ready(run: RunDir, *, retry_failed: bool) -> None:
    """Drop what a killed process left of trials that have ended, and trials to be trained again."""
    for name, history in run.known().histories.items():
        if retry_failed and history.end is not None and history.end.status == "failed":
            run.forget(name)
        elif history.end is not None:
            run.state_path(name).unlink(missing_ok=True)


def _too_many(failures: Sequence[TrialEnd]) -> LrbenchError:
    return LrbenchError(
        f"stopped after {len(failures)} failed trials (--max-failures); the last: "
        f"{failures[-1].reason}",
        hint="when the cause is gone, the same command with --retry-failed trains them again",
    )


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
            hint="name none, or let the task take batch_size",
        )
    return {size: each.steps_per_epoch for size, each in benches.items()}


def written_steps(spec: CompareSpec, steps: StepsPerEpoch) -> int | dict[str, int]:
    """As files say it: one number, unless there are several batch sizes."""
    if not spec.batch_sizes:
        return steps[spec.recipe.batch_size]
    return {str(size): count for size, count in steps.items()}  # keys as JSON has them


def resolve(spec: CompareSpec, run: RunDir) -> CompareSpec:
    """The spec, grown by what the run directory already holds.

    Raises:
        UsageError: the run was made with another experiment.
        MachineError: the folder holds trials, but not what they were trained for.
    """
    found = run.manifest()
    if found is None:
        if any(run.path.glob("trials/*/journal.jsonl")):
            raise MachineError(
                f"{run.path} holds trials but no manifest.json", hint="choose another --out"
            )
        return spec
    older = recorded(found, run)
    if spec.time_budget_s is not None:
        spec = spec.model_copy(update={name: getattr(older, name) for name in SIZE})
    return spec.grown_from(older)


def settled(host: Host, run: RunDir) -> Host:
    """The host with as many trials at once as the run was begun with, where a probe would say."""
    begun = (run.manifest() or {}).get("machine", {})
    if host.at_once is None and "at_once" in begun:
        return replace(host, at_once=begun["at_once"])
    return host


def recorded(manifest: Mapping[str, Any], run: RunDir) -> CompareSpec:
    """The experiment that a run was made for.

    Raises:
        UsageError: it is the run of another command.
        MachineError: the manifest was changed by hand.
    """
    if manifest.get("command") != "compare":
        raise UsageError(f"{run.path} holds a run of lrbench {manifest.get('command')}")
    try:
        spec = CompareSpec.model_validate(manifest["experiment"])
    except (KeyError, ValueError):
        raise MachineError(f"{run.manifest_path}: its experiment cannot be read") from None
    if spec.fingerprint != manifest.get("fingerprint"):
        raise MachineError(
            f"{run.manifest_path}: its experiment is not the one that its fingerprint is of",
            hint="undo the change, or choose another --out",
        )
    return spec


def manifest(spec: CompareSpec, bench: Workbench) -> dict[str, Any]:
    """What a run is: enough to repeat it, and to know on what its numbers depend."""
    return {
        "command": "compare",
        "experiment": spec.model_dump(mode="json"),
        "fingerprint": spec.fingerprint,
        "steps_per_epoch": written_steps(spec, steps_by_batch_size(spec, bench)),
        "code": code_of(spec.recipe, spec.schedules),
        **bench.facts(),
    }


def continued(spec: CompareSpec, run: RunDir, bench: Workbench) -> dict[str, Any]:
    """The manifest of a run that begins or goes on: the machine under which it was begun, what
    was forced upon it since, and all of its code.

    Raises:
        UsageError: the user's code or the data have changed since it was begun, or what is left
            would be trained on another machine.
    """
    now, before = manifest(spec, bench), run.manifest() or {}
    refuse_changes(before, now["code"], now["data"].get("digest"))
    code = {**before.get("code", {}), **now["code"]}
    begun = {name: before[name] for name in (*MACHINE, "forced") if name in before}
    known = run.known()
    left = plan(spec, known.histories, known.finds, steps_by_batch_size(spec, bench))
    if left.stage != "done":
        begun |= conditions.carried_on(before, bench.machine, force=bench.host.force)
    return {**now, **begun, "code": code}


MACHINE = ("lrbench", "machine", "device", "threads")


def work(spec: CompareSpec, steps_per_epoch: StepsPerEpoch) -> dict[str, dict[str, int]]:
    """Trials, steps and training samples of each stage of a comparison with nothing done yet.

    The range test counts with all its short trainings. Extensions of the grid are not in it:
    whether they come is only known after tuning.
    """
    from lrbench.rangetest.find import VERIFY_LRS

    fixed = sum(parse(name).fixed_lr is not None for name in spec.schedules)
    tuned = len(spec.entrants) - fixed
    points = spec.lr_points if spec.auto else len(spec.lrs)
    tuning = points * tuned * spec.tuning_seeds if points > 1 else 0
    finals = spec.seeds * len(spec.entrants)
    tests = spec.auto + sum(each.lr is None for each in spec.contenders)
    find = spec.find
    verifying = VERIFY_LRS * min(find.verify_seeds, len(find.seeds)) * find.verify_steps
    stages = {stage: {"trials": 0, "steps": 0, "images": 0} for stage in ("find", "tune", "final")}

    def count(stage: str, trials: int, steps: int, batch: int) -> None:
        for key, amount in (("trials", trials), ("steps", steps), ("images", steps * batch)):
            stages[stage][key] += amount

    sweep = len(find.seeds) * find.points + verifying
    for batch in {cell.recipe.effective_batch for cell in spec.cells}:
        count("find", tests * len(find.seeds), tests * sweep, batch)
    for cell in spec.cells:
        batch = cell.recipe.effective_batch
        trial_steps = cell.epochs * steps_per_epoch[cell.recipe.batch_size]
        count("tune", tuning, tuning * trial_steps, batch)
        count("final", finals, finals * trial_steps, batch)
    return stages


# Evaluation and bookkeeping on top of the training steps, from full runs on CPU.
OVERHEAD = 1.2


def estimate_s(spec: CompareSpec, steps_per_epoch: StepsPerEpoch, step_s: float) -> float:
    """Seconds that the whole plan will take, from the time of one training step."""
    steps = sum(stage["steps"] for stage in work(spec, steps_per_epoch).values())
    return OVERHEAD * steps * step_s


def fit(spec: CompareSpec, steps_per_epoch: StepsPerEpoch, step_s: float) -> CompareSpec:
    """The largest plan within the time budget: as many epochs as fit, fewer seeds and learning
    rates only where one epoch would not fit.

    Raises:
        UsageError: not even the smallest honest plan fits (3 learning rates, 2 seeds, 1 epoch).
    """
    assert spec.time_budget_s is not None
    sizes = [
        {},
        {"tuning_seeds": 1},
        {"tuning_seeds": 1, "seeds": min(spec.seeds, 3)},
        {"tuning_seeds": 1, "seeds": min(spec.seeds, 3), "lr_points": min(spec.lr_points, 3)},
        {"tuning_seeds": 1, "seeds": min(spec.seeds, 2), "lr_points": min(spec.lr_points, 3)},
    ]
    for size in sizes:
        smallest = spec.model_copy(update={**size, "epochs": 1})
        once = estimate_s(smallest, steps_per_epoch, step_s)
        twice_spec = smallest.model_copy(update={"epochs": 2})
        per_epoch = estimate_s(twice_spec, steps_per_epoch, step_s) - once
        epochs = 1 + int((spec.time_budget_s - once) // per_epoch)
        if epochs >= 1:
            return smallest.model_copy(update={"epochs": epochs})
    raise UsageError(
        f"--time-budget {spec.time_budget_s:g}s: the smallest plan takes about {once:.0f} s",
        hint="allow more time, or name fewer schedules",
    )


def sized(spec: CompareSpec, run: RunDir, bench: Workbench) -> CompareSpec:
    """The spec cut to its time budget; a run that is there keeps the size that it was given."""
    if spec.time_budget_s is None or run.manifest() is not None:
        return spec
    return fit(spec, steps_by_batch_size(spec, bench), bench.step_s())
