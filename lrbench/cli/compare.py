"""`lrbench compare`: train under each schedule and rank them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrbench.cli import params as p
from lrbench.cli.common import announce, notify, reading
from lrbench.cli.comparison import print_answer, say_nothing_new, show_plan
from lrbench.cli.exports import Exports
from lrbench.cli.gate import Conditions
from lrbench.inputs import COMPARE, compare_spec, merged, resolved_toml
from lrbench.plugins import names_alone, printing_apart
from lrbench.session import compare as session
from lrbench.session.checks import check_early
from lrbench.session.compare import Job
from lrbench.session.size import estimate_s

if TYPE_CHECKING:
    from lrbench.analysis import Summary

EPILOG = """lrbench compare --help-all shows every option. Examples:

lrbench compare

lrbench compare -s cosine -s 'warmup(5%) + cosine' --epochs 10 --seeds 5

lrbench compare --dataset folder:photos --time-budget 20m --fail-below 97%"""


@p.takes(COMPARE)
def compare(
    given: dict[str, Any],
    conditions: Conditions,
    exports: Exports,
    resume: Annotated[
        Path | None, p.output("--resume", "Continue this run with its options.", "Run")
    ] = None,
    config: p.Config = None,
    print_config: p.PrintConfig = False,
    dry_run: p.DryRun = False,
    out: p.Out = None,
    details: p.Details = False,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:
    """Train under each schedule and rank them.

    Each schedule's LR is tuned on validation data with the same effort. The final trials share
    their seeds, and schedules that they cannot tell apart are reported as such.
    """
    options = merged(given, config, COMPARE)
    if print_config:
        with names_alone():
            typer.echo(resolved_toml(compare_spec(options), options), nl=False)
        return
    exports.check(json=json)
    run, options = session.located(options, out, resume)
    if dry_run and resume is not None:
        with names_alone():
            spec = session.resolve(options, run)
            sizes = session.shown(spec, run, options)
            show_plan(spec, run, *sizes, "the trials that are done", json=json)
        return
    if resume or config:
        announce(compare_spec, options, given)
    spec = session.resolve(options, run)
    conditions.check(spec)
    check_early(spec)
    if not dry_run:
        run.refuse_second_writer()
        exports.make()
    with reading(spec.recipe.dataset, quiet=quiet or json) as progress:
        job = session.prepared(spec, run, options, progress)
    if not json:
        notify(job.notices)
    if not (quiet or json) and job.plan.stage == "done":
        say_nothing_new(run)
    if dry_run:
        left, bench = job.left, job.bench
        seconds = estimate_s(job.spec, left, bench.step_s(), bench.jobs)
        show_plan(job.spec, run, job.steps_per_epoch, left, seconds, "a dozen steps", json=json)
        return
    summary = _carry_out(job, exports, quiet=quiet or json)
    code = print_answer(summary, run.path, json=json, details=details, exports=exports, advise=True)
    conditions.enforce(summary, quiet=json)
    raise typer.Exit(code)


@printing_apart()
def _carry_out(job: Job, exports: Exports, *, quiet: bool) -> Summary:
    from lrbench.analysis import Summary
    from lrbench.report.live import live

    with live(not quiet, spec=job.spec) as show:
        for event in session.carry_out(job, also=exports.renderers):
            show(event)
    assert isinstance(event, Summary), "a comparison ends with its summary"
    return event
