"""The steps of `lrbench compare` between its options and its answer."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lrbench.cli.common import as_json, command_line, notify, run_path, stdout
from lrbench.cli.exports import Exports, comparison_texts
from lrbench.errors import Notice, Topic, UsageError, printable
from lrbench.experiment import CompareSpec
from lrbench.options import ONCE, compare_options, compare_spec, resolved_toml
from lrbench.plan import Plan, StepsPerEpoch, plan, recorded_steps
from lrbench.plugins import printing_apart
from lrbench.records import TrialEnd
from lrbench.run import conditions
from lrbench.run.store import Known, RunDir
from lrbench.schedules import check, early_stop_notices, parse, stretched
from lrbench.session.compare import (
    Trained,
    estimate_s,
    run_comparison,
    steps_by_batch_size,
    work,
    written_steps,
)
from lrbench.stopping import resume_with
from lrbench.tasks.own import ignored_batch_size

if TYPE_CHECKING:
    from pandas import DataFrame

    from lrbench.analysis import Summary
    from lrbench.execute import Workbench

REFRESH_S = 5.0
MOST_SEEDS = 50  # that somebody would train to settle a tie


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
    if manifest is None or not isinstance(manifest.get("options"), dict):
        raise UsageError(f"--resume {resume}: there is no run in this folder")
    before = dict(manifest["options"])
    if "executor" in options:
        before = {name: before[name] for name in before if name not in ("jobs", "trial_timeout")}
    return run, {**before, **options}


def check_early(spec: CompareSpec) -> None:
    """Refuse a schedule that cannot run before torch is imported, where the dataset's size is
    known without opening it."""
    from lrbench.data import train_size

    train = train_size(spec.recipe.dataset)
    if train:
        kept = train - round(train * spec.recipe.val_fraction)
        recipes = {cell.recipe.batch_size: cell.recipe for cell in spec.cells}
        steps = {size: kept // recipe.effective_batch for size, recipe in recipes.items()}
        if all(steps.values()):  # the task itself says what is wrong with too large a batch
            check_schedules(spec, steps)


def check_schedules(spec: CompareSpec, steps_per_epoch: StepsPerEpoch) -> list[Notice]:
    """What is to be said of the schedules before training.

    Raises:
        UsageError: an LR that is negative, infinite or NaN, or a schedule that cannot be stretched
            to a budget.
    """
    notices = [*stretch_notices(spec)]
    for name, cell in product(spec.schedules, spec.cells):
        schedule = stretched(parse(name), cell.stretch)
        lr = schedule.fixed_lr or (min(spec.lrs) if spec.lrs else 0.1)
        steps = steps_per_epoch[cell.recipe.batch_size]
        notices += check(schedule, lr, cell.epochs * steps, steps)
    if spec.recipe.early_stop:
        notices += early_stop_notices([parse(name) for name in spec.schedules])
    return list(dict.fromkeys(notices))


def stretch_notices(spec: CompareSpec) -> Iterator[Notice]:
    """The schedules that are another spec on another budget."""
    for name in spec.schedules:
        specs = {
            cell.epochs: str(stretched(parse(name), cell.stretch))
            for cell in spec.cells
            if cell.stretch
        }
        changed = [f"{text} (epochs: {epochs})" for epochs, text in specs.items() if text != name]
        if changed:
            yield Notice(Topic.STRETCHED, f"{name} is trained as {', '.join(changed)}")


def show_plan(spec: CompareSpec, bench: Workbench, run: RunDir, *, json: bool) -> None:
    """Print what a run would do, in trials, steps, images and time; train nothing."""
    steps_per_epoch = steps_by_batch_size(spec, bench)
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
            "steps_per_epoch": written_steps(spec, steps_per_epoch),
            "stages": stages,
            "total": total,
            "done_trials": done,
            "estimated_s": seconds,
        }
        typer.echo(as_json(document))
        return
    from lrbench.report.plan import plan_table

    stdout().print(plan_table(spec, stages, total, seconds, steps_per_epoch))
    tail = f"{done} trials are done in {run.path}" if done else f"would write {run.path}"
    stdout().print(tail, markup=False, soft_wrap=True)


@printing_apart()
def carry_out(
    spec: CompareSpec,
    run: RunDir,
    bench: Workbench,
    options: Mapping[str, Any],
    executor: str,
    *,
    quiet: bool,
    also: Sequence[str] = (),
) -> Summary:
    """Run what is left of a comparison, showing progress, and write its files."""
    from lrbench.report.csv_files import write
    from lrbench.report.live import live

    with run.writer(), live(quiet=quiet, spec=spec) as show:
        resume_with(shlex.join(["lrbench", "compare", "--resume", str(run.path)]))
        written = time.monotonic()
        for event in run_comparison(spec, run, bench, asked(spec, run, options), executor):
            show(event)
            if _ended(event) and time.monotonic() - written > REFRESH_S:
                write(summarised(spec, run), run.path)
                written = time.monotonic()
        summary = summarised(spec, run)
        write_files(summary, run.path, also)
    return summary


def asked(spec: CompareSpec, run: RunDir, options: Mapping[str, Any]) -> dict[str, Any]:
    """For the manifest: the options of the whole run, the command that repeats it, and all
    options with their defaults, at the size that a time budget gave it."""
    kept = {name: _plain(value) for name, value in options.items() if name not in ONCE}
    found = compare_options(spec)
    several = ("batch_size",) if spec.batch_sizes else ()
    whole = kept | {name: found[name] for name in (*GROWING, *several) if found.get(name)}
    return {
        "options": whole,
        "command_line": command_line("compare", whole, run.path),
        "toml": resolved_toml(spec.model_copy(update={"time_budget_s": None}), kept),
    }


# May have grown since the run was begun.
GROWING = ("schedule", "lr", "seeds", "tuning_seeds", "budgets", "contender")


def _ended(event: Any) -> bool:
    return isinstance(event, Trained) and any(isinstance(r, TrialEnd) for r in event.records)


def summarised(spec: CompareSpec, run: RunDir) -> Summary:
    """The analysis of what the run directory holds by now. Needs no torch."""
    from lrbench.analysis import Question, summarise

    manifest = run.manifest() or {}
    data = manifest.get("data", {})
    known = run.known()
    notices: tuple[Notice, ...] = ()
    settled = plan(spec, known.histories, known.finds, recorded_steps(manifest))
    wanted = [trial.id for trial in (*settled.tuning, *settled.finals)]
    orphans = _orphans(spec, settled, known)
    if orphans:
        wanted += orphans
        notices += (
            Notice(
                Topic.TRIALS_FAILED,
                "tuning is not complete here, although "
                f"{len(orphans)} final trials are on the disk",
                "the same lrbench compare trains what is missing",
            ),
        )
    histories = [known.histories[name] for name in wanted if name in known.histories]
    said = conditions.notices(manifest, histories)
    question = Question(
        schedules=spec.entrants,
        metric=spec.metric,
        reference=spec.reference,
        target_accuracy=spec.target_accuracy,
        seeds=spec.seeds,
        test_size=data.get("test"),
        val_size=data.get("val"),
        classes=data.get("classes"),
        notices=(
            *stretch_notices(spec),
            *ignored_batch_size(spec.recipe, data),
            *settled.notices,
            *notices,
            *said,
        ),
    )
    return summarise(histories, question)


def _orphans(spec: CompareSpec, settled: Plan, known: Known) -> list[str]:
    """Final trials whose tuning trials are gone: a damaged run loses no row for that."""
    if settled.stage not in ("find", "tune"):
        return []
    return [
        name
        for name, history in known.histories.items()
        if history.spec.stage == "final"
        and history.spec.recipe in {cell.recipe for cell in spec.cells}
        and history.spec.epochs in {cell.epochs for cell in spec.cells}
    ]


NOTHING_ELSE = Exports()


def tell(summary: Summary, run: RunDir, *, json: bool, exports: Exports = NOTHING_ELSE) -> int:
    """Print the answer and write what is exported; give the exit code: 1 if a trial failed or a
    final one diverged."""
    code = winner_code(summary, run)
    if json:
        typer.echo(as_json(document(summary, run, code)))
    else:
        notify(summary.notices)
        if not exports.to_stdout:
            _print_answer(summary, run, code)
    exports.write(comparison_texts(summary, document(summary, run, code)))
    failed = (summary.trials["status"] == "failed").any()
    return 1 if failed or summary.failed_finals else 0


def _print_answer(summary: Summary, run: RunDir, code: str) -> None:
    from rich.text import Text

    from lrbench.report.console import answer

    console = stdout()
    console.print(answer(summary))
    if code:
        console.print(
            Text(f"\nIn torch, for the schedule that ranks first:\n\n{code}"), soft_wrap=True
        )
    lines = [f"files: {run.path}", f"page: {run.path / 'report.html'}", next_line(summary, run)]
    console.print(Text("\n" + "\n".join(map(printable, lines)), style="dim"), soft_wrap=True)


def next_line(summary: Summary, run: RunDir) -> str:
    """What to type next: more seeds where they would settle a tie, else to look at the page."""
    path = shlex.quote(str(run.path))
    power = summary.power[0] if summary.power and summary.winner is None else None
    if power is not None and power.needed and power.n < power.needed <= MOST_SEEDS:
        return f"next: lrbench compare --resume {path} --seeds {power.needed}"
    return f"next: lrbench report {path} --open"


def winner_code(summary: Summary, run: RunDir) -> str:
    """The torch lines for the schedule that ranks first, its LR filled in; empty without one."""
    from lrbench.report.torch_lines import torch_lines

    return torch_lines(summary, run.manifest() or {})


def document(summary: Summary, run: RunDir, code: str) -> dict[str, Any]:
    """The answer for programs: what `--json` prints."""
    return {
        "sentence": summary.sentence,
        "best": summary.best,
        "winner": summary.winner,
        "groups": summary.groups,
        "metric": summary.metric,
        "ranking": rows(summary.ranking),
        "sensitivity": rows(summary.sensitivity),
        "power": summary.power_sentence,
        "notices": [str(notice) for notice in summary.notices],
        "diagnosis": rows(summary.diagnosis),
        "code": code,
        "run": str(run.path),
    }


def rows(frame: DataFrame) -> list[dict[str, Any]]:
    """A table as plain values: a missing one is None."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return found


def retold(
    spec: CompareSpec, run: RunDir, *, json: bool, exports: Exports = NOTHING_ELSE
) -> Summary:
    """Print the answer of a run from its journals, which a folder that is read-only or in use
    can be asked for as well, and make its tables and plots again."""
    summary = summarised(spec, run)
    tell(summary, run, json=json, exports=exports)
    with run.writer():
        write_files(summary, run.path, exports.renderers)
    return summary


def remade(spec: CompareSpec, run: RunDir, also: Sequence[str] = ()) -> Summary:
    """Make a run's files again, from its journals; what they say."""
    summary = summarised(spec, run)
    with run.writer():
        write_files(summary, run.path, also)
    return summary


def write_files(summary: Summary, folder: Path, also: Sequence[str] = ()) -> None:
    """Write every table, every plot and the page of a run, and what else was asked for."""
    from lrbench.report.renderers import write_all

    write_all(summary, folder, also)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
