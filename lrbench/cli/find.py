"""`lrbench find`: pick an initial LR."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lrbench.cli import params as p
from lrbench.cli.common import announce, as_json, notify, reading, say, stdout
from lrbench.errors import NoLearningRate
from lrbench.execute import Workbench
from lrbench.inputs import FIND, find_spec, host_of, merged, resolved_toml
from lrbench.options import FindSpec
from lrbench.plugins import names_alone, printing_apart
from lrbench.session import find as session

if TYPE_CHECKING:
    from lrbench.rangetest.result import FindResult

EPILOG = """lrbench find --help-all shows every option. Examples:

lrbench find

lrbench find --dataset mnist --optimizer adam --seeds 5"""


@p.takes(FIND)
def find(
    given: dict[str, Any],
    config: p.Config = None,
    print_config: p.PrintConfig = False,
    dry_run: p.DryRun = False,
    out: p.Out = None,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:
    """Pick an initial learning rate with an LR range test over several seeds.

    The answer comes with a grade. If no LR can be defended, the exit code is 1 and the message says
    what to change.
    """
    options = merged(given, config, FIND)
    if print_config:
        with names_alone():
            typer.echo(resolved_toml(find_spec(options), options), nl=False)
        return
    if config:
        announce(find_spec, options, given)
    spec, host = find_spec(options), host_of(options)
    run = session.located(spec, out)
    if not dry_run:
        run.refuse_second_writer()
    with reading(spec.recipe.dataset, quiet=quiet or json) as progress:
        bench, notices = session.prepared(spec, host, progress)
    if not json:
        notify(notices)
    if dry_run:
        _show_plan(spec, bench, run.path, json=json)
        return
    if spec.id in run.finds and not (quiet or json):
        say(f"0 new trainings: {run.path} holds the answer")
    from lrbench.report.find_live import find_bar

    with printing_apart(), find_bar(not (quiet or json)) as show:
        for event in session.carry_out(spec, run, bench, options):
            show(event)
    result: FindResult = event
    print_answer(result, run.path, json=json)
    if result.lr is None:
        raise NoLearningRate(f"no learning rate can be defended: {', '.join(result.reasons)}")


def _show_plan(spec: FindSpec, bench: Workbench, path: Path, *, json: bool) -> None:
    """Print what the range test would do."""
    sweep, after, seconds = session.size(spec, bench)
    if json:
        document = {
            "experiment": spec.model_dump(mode="json"),
            "run": str(path),
            "sweep_steps": sweep,
            "later_steps": after,
            "estimated_s": seconds,
        }
        typer.echo(as_json(document))
        return
    from lrbench.report.plan import readable_time

    line = (
        f"{spec.points} LRs from {spec.start_lr:g} to {spec.end_lr:g}, {len(spec.seeds)} seeds: "
        f"a sweep of {sweep:,} steps{f' and short trainings of {after:,}' if after else ''}, about "
        f"{readable_time(seconds)} here; would write {path}"
    )
    stdout().print(line, markup=False, soft_wrap=True)


def print_answer(result: FindResult, path: Path, *, json: bool) -> None:
    """Print the answer of a range test."""
    if json:
        typer.echo(result.to_json())
        return
    from lrbench.report.console import find_answer, find_tail

    stdout().print(find_answer(result))
    stdout().print("\n", find_tail(result, path), sep="", soft_wrap=True)
