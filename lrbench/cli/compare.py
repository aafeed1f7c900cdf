"""`lrbench compare`: train under each schedule and rank them."""

from __future__ import annotations

from typing import Any

import typer

from lrbench.cli import comparison as steps
from lrbench.cli import params as p
from lrbench.cli.common import notify, reading
from lrbench.cli.exports import Exports
from lrbench.cli.gate import check_conditions, enforce
from lrbench.execute import Workbench
from lrbench.options import (
    COMPARE,
    compare_spec,
    executor_of,
    host_of,
    merged,
    resolved_toml,
)
from lrbench.pipeline import resolve, settled, sized, steps_by_batch_size
from lrbench.tasks.own import ignored_batch_size

EPILOG = """lrbench compare --help-all shows every option. Examples:

lrbench compare

lrbench compare -s cosine -s 'warmup(5%) + cosine' --epochs 10 --seeds 5

lrbench compare --dataset mnist --lr 0.05,0.1,0.2 --time-budget 20m"""


@p.takes(COMPARE)
def compare(
    given: dict[str, Any],
    resume: p.Resume = None,
    fail_below: p.FailBelow = None,
    fail_if_worse_than: p.FailIfWorseThan = None,
    export_markdown: p.ExportMarkdown = None,
    export_csv: p.ExportCsv = None,
    export_json: p.ExportJson = None,
    tensorboard: p.Tensorboard = False,
    config: p.Config = None,
    print_config: p.PrintConfig = False,
    dry_run: p.DryRun = False,
    out: p.Out = None,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:
    """Train under each schedule and rank them.

    Every schedule's LR is tuned on a validation split with the same budget; the final trials use
    the same seeds for all, and a tie is called a tie.
    """
    options = merged(given, config, COMPARE)
    if print_config:
        typer.echo(resolved_toml(compare_spec(options), options), nl=False)
        return
    check_conditions(fail_below, fail_if_worse_than)
    exports = Exports(export_markdown, export_csv, export_json, tensorboard)
    exports.check(json=json)
    run, options = steps.located(options, out, resume)
    executor, host = executor_of(options), host_of(options)
    spec = resolve(compare_spec(options), run)
    check_conditions(fail_below, fail_if_worse_than, spec)
    steps.check_early(spec)
    if not dry_run:
        run.refuse_second_writer()
        exports.make()
    with reading(spec.recipe.dataset, quiet=quiet or json) as progress:
        bench = Workbench(spec.recipe, settled(host, run), progress)
        bench.open()
    spec = sized(spec, run, bench)
    notices = steps.check_schedules(spec, steps_by_batch_size(spec, bench))
    notices += ignored_batch_size(spec.recipe, bench.source.facts())
    if not (quiet or json):
        notify(notices)
    if dry_run:
        steps.show_plan(spec, bench, run, json=json)
        return
    summary = steps.carry_out(
        spec, run, bench, options, executor, quiet=quiet or json, also=exports.renderers
    )
    code = steps.tell(summary, run, json=json, exports=exports)
    enforce(summary, fail_below, fail_if_worse_than)
    raise typer.Exit(code)
