"""A comparison as a library: open its run, train what is left, summarise."""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from lrbench.engine.device import default_threads, number_of, open_device
from lrbench.errors import LrbenchError, MachineError, Notice, Topic, UsageError
from lrbench.execute import EXECUTORS, Host, Workbench
from lrbench.inputs import COMPARE, all_options, compare_spec, host_of, resolved_toml
from lrbench.options import ONLY_AUTO, SIZE, CompareSpec
from lrbench.plan import Plan, StepsPerEpoch, own_scales, recorded_steps
from lrbench.plugins import LENT
from lrbench.records import TrialEnd
from lrbench.run import conditions
from lrbench.run.manifest import material_of
from lrbench.run.material import code_of, own_names, refuse_changes
from lrbench.run.store import Run
from lrbench.session.checks import check_schedules, spec_notices
from lrbench.session.place import command_line, lasting, run_path
from lrbench.session.recorded import recorded, settle, settled_so_far, summarised
from lrbench.session.size import (
    Amounts,
    estimate_s,
    fit,
    left,
    steps_by_batch_size,
    written_steps,
)
from lrbench.stopping import resume_with

REFRESH_S = 5.0  # at least, between writes of the CSV files
REFRESH_SHARE = 0.05  # at most, of the wall time
WORTH_S = 15.0  # of training: starting other processes for less does not pay off


Event = Any
"""A `Plan` when a stage begins; progress and result of a range test; (trial, records) when a trial
starts (no records yet) or has new records; the `Summary` last."""


@dataclass(frozen=True, eq=False)
class Job:
    """A comparison ready to train: its parts have been tried, and nothing has been written yet."""

    spec: CompareSpec
    run: Run
    bench: Workbench
    options: Mapping[str, Any]
    steps_per_epoch: StepsPerEpoch
    notices: tuple[Notice, ...]

    @property
    def plan(self) -> Plan:
        """The next stage, given the records so far."""
        whole = settle(self.spec, self.run, self.bench.source.facts(), self.steps_per_epoch)
        return whole.of_shard(self.bench.host.shard)

    @property
    def left(self) -> Amounts:
        return left(self.spec, self.steps_per_epoch, self.run, self.plan)


def located(
    options: Mapping[str, Any], out: Path | None, resume: Path | None
) -> tuple[Run, dict[str, Any]]:
    """The run directory and the options, which override those that a resumed run began with."""
    if resume is None:
        spec = compare_spec(options)
        return Run(run_path("compare", spec.recipe, spec.fingerprint, out)), dict(options)
    if out is not None:
        raise UsageError("--out and --resume both name the folder: give one of them")
    run = Run(resume)
    if run.manifest is None or run.manifest["command"] != "compare":
        raise UsageError(f"--resume {resume}: there is no comparison in this folder")
    before = dict(run.manifest["options"])
    if "executor" in options:
        before = {name: before[name] for name in before if name not in ("jobs", "trial_timeout")}
    return run, {**before, **options}


def resolve(options: Mapping[str, Any], run: Run) -> CompareSpec:
    """The comparison that the options ask for, extended by what the run already holds.

    Raises:
        UsageError: the run was made with another experiment.
        MachineError: the folder holds trials but no manifest.
    """
    spec = compare_spec(options)
    if run.manifest is None:
        if any(run.path.glob("trials/*/journal.jsonl")):
            raise MachineError(
                f"{run.path} holds trials but no manifest.json", hint="choose another --out"
            )
        return spec
    older = recorded(run)
    if spec.time_budget_s is not None:
        spec = spec.model_copy(update={name: getattr(older, name) for name in SIZE})
    grown = spec.grown_from(older)
    more = not grown.race and grown.seeds > older.seeds > 1
    if more and settled_so_far(older, run).stage == "done":  # already compared
        return grown.model_copy(update={"looked": older.looks})
    return grown


def prepared(
    spec: CompareSpec,
    run: Run,
    options: Mapping[str, Any],
    progress: Callable[[int, int], None] | None = None,
) -> Job:
    """Open the device and the data, try the user's parts, and fix the size of the comparison.
    `progress(done, total)` is called as images are read.

    Raises:
        UsageError: a schedule or a part that cannot be trained.
        MachineError: no such device, or a missing or damaged dataset.
    """
    bench = Workbench(spec.recipe, settled(host_of(options), run, spec), progress)
    if bench.host.shard and spec.race:
        raise UsageError("--shard and --race do not combine: a race needs all final trials")
    bench.open()
    for recipe in spec.recipes[1:]:
        bench.at(recipe).open()
    steps_per_epoch, named = steps_by_batch_size(spec, bench), spec
    if spec.time_budget_s is not None and run.manifest is None:
        spec = fit(spec, steps_per_epoch, bench.step_s(), bench.jobs)
    notices = (
        *spec_notices(spec, bench.source.facts()),
        *check_schedules(spec, steps_per_epoch),
        *_beyond_asked(spec, run, options),
        *_without_effect(named, spec, options),
    )
    return Job(spec, run, bench, options, steps_per_epoch, notices)


def _beyond_asked(spec: CompareSpec, run: Run, options: Mapping[str, Any]) -> Iterator[Notice]:
    """A notice if the run holds more than the options name, and how to omit further entrants."""
    if run.manifest is None:
        return
    asked = compare_spec(options)
    names = [name for name in spec.entrants if name not in asked.entrants]
    held = [*names, *(f"LR {lr:g}" for lr in spec.lrs if lr not in asked.lrs)]
    if not spec.race and spec.seeds > asked.seeds:
        held.append(f"{spec.seeds} final seeds")
    if held:
        only = chain.from_iterable(("--only", name) for name in asked.entrants)
        alone = shlex.join(["lrbench", "report", str(run.path), *only])
        yield Notice(
            Topic.OTHER,
            f"{run.path} also holds {', '.join(held)}, trained and ranked with yours",
            f"to rank only your schedules: {alone}" if names else "choose another --out for less",
        )


def _without_effect(
    named: CompareSpec, spec: CompareSpec, options: Mapping[str, Any]
) -> Iterator[Notice]:
    """Notices about options that change nothing, or that a time budget overrides."""
    sized = [
        f"--{field.replace('_', '-')} {getattr(spec, field)}"
        for field in SIZE
        if field in options and getattr(spec, field) != getattr(named, field)
    ]
    if spec.time_budget_s is not None and int(options.get("seeds", 0)) > named.seeds:
        yield Notice(
            Topic.OTHER,
            f"a run that --time-budget sized keeps its {spec.seeds} seeds",
            f"to add seeds, give --epochs {spec.epochs} instead of --time-budget",
        )
    elif sized:
        yield Notice(Topic.OTHER, f"to fill --time-budget, this trains with {', '.join(sized)}")
    unused = [COMPARE[key] for key in ONLY_AUTO]
    idle = [each.flag for each in unused if options.get(each.key, each.default) != each.default]
    if idle and not spec.auto:
        yield Notice(Topic.OTHER, f"no effect, as --lr names the LRs: {', '.join(idle)}")


def settled(host: Host, run: Run, spec: CompareSpec) -> Host:
    """The host with unset settings filled in: as the run began or, for `auto`, as many jobs as the
    cores (on CUDA, the GPUs) allow, if other processes can import all of the user's code."""
    begun = (run.manifest or {}).get("machine", {})
    if host.at_once is None and "at_once" in begun:
        return replace(host, at_once=begun["at_once"])
    own = list(own_names(spec.recipes, spec.trained))
    homes = {name.partition(":")[0] for name in own}
    if host.executor != "auto":
        if host.executor != "serial" and LENT in homes:
            names = ", ".join(n.partition(":")[2] for n in own if n.startswith(f"{LENT}:"))
            raise UsageError(
                f"other processes cannot import {names}",
                hint="define it in a module, or leave out jobs and executor",
            )
        return host
    host = replace(host, threads=host.threads or begun.get("threads"))
    most = max(spec.looks[-1] * len(spec.entrants), spec.lr_points if spec.auto else len(spec.lrs))
    if most == 1 or homes & {LENT, "__main__"}:
        return host
    device = open_device(host.device)
    if device.type != "cpu":
        return replace(host, jobs=number_of(device))
    threads = host.threads or 1
    return replace(host, threads=threads, jobs=max(1, default_threads() // threads))


def shown(
    spec: CompareSpec, run: Run, options: Mapping[str, Any]
) -> tuple[StepsPerEpoch, Amounts, float | None]:
    """Steps per epoch, work left and seconds left (None until an epoch has ended) of an existing
    run, from its records alone: neither its data nor its code is touched."""
    steps = recorded_steps(run.manifest or {})
    if missing := {recipe.effective_batch for recipe in spec.recipes} - steps.keys():
        sizes = ", ".join(map(str, missing))
        raise UsageError(f"--dry-run --resume: this run has no trials yet with batch size {sizes}")
    rest = left(spec, steps, run, settled_so_far(spec, run))
    begun = [history.epochs for history in run.histories.values() if history.epochs]
    if not begun:
        return steps, rest, None
    step_s = sum(e.train_s for epochs in begun for e in epochs) / sum(e[-1].step for e in begun)
    jobs = settled(host_of(options), run, spec).jobs or default_threads()
    return steps, rest, estimate_s(spec, rest, step_s, jobs)


def carry_out(job: Job, *, files: bool = True, also: Sequence[str] = ()) -> Iterator[Event]:
    """Train what is left; a record is on disk before its event is yielded. The last event is the
    `Summary`. With `files`, the CSV files are kept up to date during training, and every table,
    plot and page is written at the end; `also` names more renderers.

    Raises:
        UsageError: code, data or machine differ from those the run began with.
        MachineError: the folder cannot be written, or another process writes there.
        NoLearningRate: a range test found no LR it could defend.
    """
    from lrbench.report import renderers, write_csv
    from lrbench.report.torch_lines import lines_to_keep

    run = job.run
    with run.writer():
        resume_with(shlex.join(["lrbench", "compare", "--resume", str(run.path)]))
        due_s = time.monotonic() + REFRESH_S
        for event in _trained(job):
            yield event
            if files and ends_of(event) and time.monotonic() > due_s:
                began_s = time.monotonic()
                write_csv.write(summarised(job.spec, run), run.path)
                now_s = time.monotonic()
                due_s = now_s + max(REFRESH_S, (now_s - began_s) / REFRESH_SHARE)
        summary = summarised(job.spec, run)
        if files:
            manifest = run.manifest or {}
            run.write_manifest({**manifest, "torch_lines": lines_to_keep(summary, manifest)})
            question = replace(summary.question, manifest=run.manifest or {})
            summary = replace(summary, question=question)  # so that the lines are not recomputed
            renderers.write_all(summary, run.path, also)
    yield summary


def ends_of(event: Event) -> list[TrialEnd]:
    """The `TrialEnd` of an event, if it holds one."""
    records = event[1] if isinstance(event, tuple) else ()
    return [record for record in records if isinstance(record, TrialEnd)]


def _trained(job: Job) -> Iterator[Event]:
    run, host = job.run, job.bench.host
    for name, history in list(run.histories.items()):
        if host.retry_failed and history.end is not None and history.end.status == "failed":
            run.forget(name)
        elif history.end is not None:  # a checkpoint may remain
            run.state_path(name).unlink(missing_ok=True)
    run.write_manifest(_manifest(job))
    failures: list[TrialEnd] = []
    stage = job.plan
    with ExitStack() as stack:
        if stage.stage != "done":
            execute = EXECUTORS.get(_executor(job), option="--executor").make
            train = stack.enter_context(execute(job.bench, run))
        while stage.stage != "done":
            yield stage
            if stage.find is not None:
                for event in job.bench.find(stage.find, train):
                    yield event
                run.save_find(stage.find.id, event.to_dict())
            for event in train(stage.trials):
                run.note(*event)
                yield event
                failures += [end for end in ends_of(event) if end.status == "failed"]
                if host.max_failures is not None and len(failures) >= host.max_failures:
                    raise LrbenchError(
                        f"stopped after {len(failures)} failed trials (--max-failures); the last: "
                        f"{failures[-1].reason}",
                        hint="fix the cause, then repeat the command with --retry-failed",
                    )
            stage = job.plan
    yield stage


def _executor(job: Job) -> str:
    """For `auto`, use other processes only if the work takes much longer than starting them. The
    results are bit-identical: a trial has the same number of threads either way."""
    host = job.bench.host
    if host.executor != "auto":
        return host.executor
    if host.jobs > 1:
        with suppress(Exception):  # an error in the user's step will fail a trial
            if estimate_s(job.spec, job.left, job.bench.step_s(5)) > WORTH_S:
                return "auto"
    return "serial"


def _manifest(job: Job) -> dict[str, Any]:
    """The manifest: enough to repeat the run, and to know what its numbers depend on. A resumed
    run keeps the machine it began on, and adds what --force has allowed since.

    Raises:
        UsageError: the user's code or the data have changed since the run began, or the rest would
            be trained under other conditions.
    """
    spec, bench, before = job.spec, job.bench, job.run.manifest or {}
    facts, code = bench.facts(), code_of(spec.recipes, spec.trained)
    refuse_changes(before, code, facts["data"].get("digest"))
    begun = {name: before[name] for name in KEPT if name in before}
    if job.plan.stage != "done":
        begun |= conditions.carried_on(before, bench.machine, force=bench.host.force)
    return {
        "command": "compare",
        "experiment": spec.model_dump(mode="json"),
        "fingerprint": spec.fingerprint,
        "steps_per_epoch": written_steps(job.steps_per_epoch),
        "scales": own_scales(spec, job.steps_per_epoch),
        "material": material_of(code, facts["data"]),
        **facts,
        **begun,
        "code": {**before.get("code", {}), **code},
        **asked(spec, job.run, job.options),
    }


KEPT = ("lrbench", "machine", "device", "threads", "forced", "material")
# These may have grown since the run began.
GROWING = ("schedule", "lr", "seeds", "tuning_seeds", "studies", "budgets", "arm")


def asked(spec: CompareSpec, run: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    """For the manifest: the options of the whole run, the command that repeats it, and, as TOML,
    all options with their defaults, at the size that fits the time budget."""
    kept, found = lasting(options), all_options(spec)
    several = ["batch_size"] * bool(spec.batch_sizes) + ["weight_decay"] * bool(spec.weight_decays)
    whole = kept | {name: found[name] for name in (*GROWING, *several) if found.get(name)}
    return {
        "options": whole,
        "command_line": command_line("compare", whole, run.path),
        "toml": resolved_toml(spec.model_copy(update={"time_budget_s": None}), kept),
    }
