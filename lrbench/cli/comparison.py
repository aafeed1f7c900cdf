"""Prints the plan and the answer of a comparison, for `compare` and `report`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from lrbench.cli.common import as_json, notify, say, stdout
from lrbench.cli.exports import Exports, comparison_texts
from lrbench.errors import printable
from lrbench.options import CompareSpec
from lrbench.plan import StepsPerEpoch
from lrbench.run.store import Run
from lrbench.session.size import Amounts, work, written_steps

if TYPE_CHECKING:
    from pandas import DataFrame

    from lrbench.analysis import Summary

NOTHING_ELSE = Exports()


def show_plan(
    spec: CompareSpec,
    run: Run,
    steps_per_epoch: StepsPerEpoch,
    left: Amounts,
    seconds: float | None,
    basis: str,
    *,
    json: bool,
) -> None:
    """Print what is `left` of a run, in trials, steps, images and estimated time; train nothing.
    The JSON also has the amounts of the whole run."""
    stages = work(spec, steps_per_epoch)
    done = sum(history.end is not None for history in run.histories.values())
    if json:
        document = {
            "experiment": spec.model_dump(mode="json"),
            "run": str(run.path),
            "steps_per_epoch": written_steps(steps_per_epoch),
            "stages": stages,
            "total": _total(stages),
            "left": left,
            "done_trials": done,
            "estimated_s": seconds,
        }
        typer.echo(as_json(document))
        return
    from lrbench.report.plan import plan_table, readable_time

    estimate = "the time is unknown until the first epoch ends"
    if seconds is not None:
        rest = " of training are left" * bool(done)
        estimate = f"about {readable_time(seconds)}{rest} here, estimated from {basis}"
    stdout().print(plan_table(spec, left, _total(left), estimate, steps_per_epoch, begun=done > 0))
    tail = f"{done} trials are done in {run.path}" if done else f"would write {run.path}"
    stdout().print(tail, markup=False, soft_wrap=True)


def _total(stages: Amounts) -> dict[str, int]:
    return {key: sum(stage[key] for stage in stages.values()) for key in stages["final"]}


def say_nothing_new(run: Run) -> None:
    """Say that the run already holds all trials."""
    done = sum(history.end is not None for history in run.histories.values())
    say(f"0 new trials: all {done} are in {run.path}")


def print_answer(
    summary: Summary,
    path: Path,
    *,
    json: bool,
    details: bool = False,
    exports: Exports = NOTHING_ELSE,
    advise: bool = False,
) -> int:
    """Print the answer of the run in a folder and write the exports. With `advise`, suggest opening
    the page if there is no other next step. Returns the exit code: 1 if a trial failed or a final
    trial diverged."""
    found = document(summary, path)
    if json:
        typer.echo(as_json(found))
    else:
        notify(summary.warnings)
        if not exports.to_stdout:
            _print_tables(summary, path, found["code"], details, advise)
    exports.write(comparison_texts(summary, found))
    failed = (summary.trials["status"] == "failed").any()
    return 1 if failed or summary.failed_finals else 0


def _print_tables(summary: Summary, path: Path, code: str, details: bool, advise: bool) -> None:
    from lrbench.report.console import answer

    console = stdout()
    console.print(answer(summary, details=details))
    if code:
        console.print(
            Text(f"\nIn torch, for the schedule that ranks first:\n\n{code}"), soft_wrap=True
        )
    lines = [f"files: {path}", f"page: {path / 'report.html'}"]
    if summary.next_step or advise:
        look = f"lrbench report {shlex.quote(str(path))} --open"
        lines.append(f"next: {summary.next_step or look}")
    console.print(Text("\n" + "\n".join(map(printable, lines)), style="dim"), soft_wrap=True)


def document(summary: Summary, path: Path | str) -> dict[str, Any]:
    """The answer as `--json` prints it. `code` holds the torch lines of the schedule that ranks
    first."""
    from lrbench.report.torch_lines import torch_lines

    apart = summary.first.apart if summary.first else ()
    return {
        "sentence": summary.sentence,
        "best": summary.best,
        "winner": summary.winner,
        "told_apart": [[name, *worse] for name, worse in apart],
        "metric": summary.metric,
        "ranking": rows(summary.ranking),
        "sensitivity": rows(summary.sensitivity),
        "certainty": summary.certainty,
        "next": summary.next_step,
        "notices": [str(notice) for notice in summary.notices],
        "diagnosis": rows(summary.diagnosis),
        "code": torch_lines(summary, summary.question.manifest),
        "run": str(path),
    }


def rows(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain values; None if missing."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return found
