"""The steps of `lrbench compare` between its options and its answer."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lrbench.cli.common import command_line, run_path, stdout
from lrbench.errors import Notice, UsageError
from lrbench.experiment import CompareSpec
from lrbench.options import compare_spec
from lrbench.pipeline import Trained, estimate_s, run_comparison, work
from lrbench.records import TrialEnd
from lrbench.schedules import check, parse
from lrbench.store import RunDir

if TYPE_CHECKING:
    from lrbench.analysis import Summary
    from lrbench.execute import Workbench

REFRESH_S = 5.0


def located(
    options: Mapping[str, Any], out: Path | None, resume: Path | None
) -> tuple[RunDir, dict[str, Any]]:
    """The run directory, and the options, added to those with which a resumed run was begun."""
    if resume is None:
        spec = compare_spec(options)
        return RunDir(run_path("compare", spec.recipe, spec.fingerprint, out)), dict(options)
    if out is not None:
        raise UsageError("--out and --resume name a folder each: give one of them")
    run = RunDir(resume)
    manifest = run.manifest()
    if manifest is None or "options" not in manifest:
        raise UsageError(f"--resume {resume}: there is no run in this folder")
    return run, {**manifest["options"], **options}


def check_early(spec: CompareSpec) -> None:
    """Refuse a schedule that cannot run before torch is imported, where the dataset's size is
    known without opening it."""
    from lrbench.data import train_size

    train = train_size(spec.recipe.dataset)
    if train:
        kept = train - round(train * spec.recipe.val_fraction)
        check_schedules(spec, kept // spec.recipe.batch_size)


def check_schedules(spec: CompareSpec, steps_per_epoch: int) -> list[Notice]:
    """What is to be said of the schedules before training.

    Raises:
        UsageError: an LR that is negative, infinite or NaN; the message names the step.
    """
    notices = []
    for name in spec.schedules:
        schedule = parse(name)
        lr = schedule.fixed_lr or (min(spec.lrs) if spec.lrs else 0.1)
        notices += check(schedule, lr, spec.epochs * steps_per_epoch, steps_per_epoch)
    return notices


def show_plan(spec: CompareSpec, bench: Workbench, run: RunDir, *, json: bool) -> None:
    """Print what a run would do, in trials, steps, images and time; train nothing."""
    steps_per_epoch = bench.tuning_task.steps_per_epoch
    stages = work(spec, steps_per_epoch)
    total = {
        key: sum(stage[key] for stage in stages.values()) for key in ("trials", "steps", "images")
    }
    seconds = estimate_s(spec, steps_per_epoch, bench.step_s())
    done = sum(history.end is not None for history in run.known().histories.values())
    if json:
        document = {
            "experiment": spec.model_dump(mode="json"),
            "run": str(run.path),
            "steps_per_epoch": steps_per_epoch,
            "stages": stages,
            "total": total,
            "done_trials": done,
            "estimated_s": seconds,
        }
        typer.echo(jsonlib.dumps(document, indent=2, ensure_ascii=False))
        return
    from lrbench.report.plan import plan_table

    stdout().print(plan_table(spec, stages, total, seconds, steps_per_epoch))
    tail = f"{done} trials are done in {run.path}" if done else f"would write {run.path}"
    stdout().print(tail, markup=False, soft_wrap=True)


def carry_out(
    spec: CompareSpec,
    run: RunDir,
    bench: Workbench,
    options: Mapping[str, Any],
    executor: str,
    *,
    quiet: bool,
) -> Summary:
    """Run what is left of a comparison, showing progress, and write its files."""
    from lrbench.report.live import live

    about = {
        "options": {name: _plain(value) for name, value in options.items()},
        "command_line": command_line("compare", options, run.path),
    }
    written = time.monotonic()
    with run.writer(), live(quiet=quiet) as show:
        for event in run_comparison(spec, run, bench, about, executor):
            show(event)
            ended = isinstance(event, Trained) and any(
                isinstance(record, TrialEnd) for record in event.records
            )
            if ended and time.monotonic() - written > REFRESH_S:
                write_tables(summarised(spec, run, bench), run)
                written = time.monotonic()
        summary = summarised(spec, run, bench)
        write_tables(summary, run)
    return summary
