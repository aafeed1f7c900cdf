"""`lrbench find`: pick an initial LR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import typer

from lrbench.cli import params as p
from lrbench.cli.common import as_json, command_line, notify, reading, run_path, stdout
from lrbench.errors import LrbenchError, MachineError, NoLearningRate, UsageError
from lrbench.execute import Workbench
from lrbench.experiment import FindSpec, differences
from lrbench.material import code_of, own_names, refuse_changes
from lrbench.options import FIND, HOST, RECIPE, find_spec, host_of, merged, resolved_toml
from lrbench.pipeline import OVERHEAD
from lrbench.plugins import blamed, printing_apart
from lrbench.store import RunDir
from lrbench.tasks.own import ignored_batch_size

if TYPE_CHECKING:
    from lrbench.rangetest.result import FindResult

ALLOWED = (*RECIPE, *HOST, *FIND)
EPILOG = (
    "Examples: [bold]lrbench find[/bold]   ·   "
    "[bold]lrbench find --dataset mnist --optimizer adam --seeds 5[/bold]"
)


@p.takes(ALLOWED)
def find(
    given: dict[str, Any],
    config: p.Config = None,
    print_config: p.PrintConfig = False,
    dry_run: p.DryRun = False,
    out: p.Out = None,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:
    """Pick an initial learning rate: an LR range test over several seeds.

    The answer comes with a grade. Where no LR can be defended there is none, the exit code is 1,
    and the message says what to change.
    """
    options = merged(given, config, ALLOWED)
    if print_config:
        typer.echo(resolved_toml(find_spec(options), options), nl=False)
        return
    spec, host = find_spec(options), host_of(options)
    run = RunDir(run_path("find", spec.recipe, spec.id, out))
    if not dry_run:
        run.refuse_second_writer()
    with reading(spec.recipe.dataset, quiet=quiet or json) as progress:
        bench = Workbench(spec.recipe, host, progress)
        bench.open()
        _check_group(spec, bench)
    if not (quiet or json):
        notify(ignored_batch_size(spec.recipe, bench.source.facts()))
    if dry_run:
        _show_plan(spec, bench, run, json=json)
        return
    result = _carry_out(spec, run, bench, options, quiet=quiet or json)
    tell(result, run, json=json)
    if result.lr is None:
        raise NoLearningRate(f"no learning rate can be defended: {', '.join(result.reasons)}")


def _check_group(spec: FindSpec, bench: Workbench) -> None:
    """Refuse a group that cannot be swept alone, now that the parameters are known."""
    from lrbench.optimizers import build
    from lrbench.rangetest.groups import swept

    _, groups = build(spec.recipe, bench.tuning_task.model(0), lr=1.0)
    swept(groups, spec.sweep_group)


def _show_plan(spec: FindSpec, bench: Workbench, run: RunDir, *, json: bool) -> None:
    """Print what the sweep would do; the short trainings after it depend on its answer."""
    tests = len({spec.recipe, *spec.cells})
    steps = tests * spec.points * len(spec.seeds)
    if spec.step == "epoch":
        steps *= bench.steps_per_epoch
    seconds = OVERHEAD * steps * bench.step_s()
    if json:
        document = {
            "experiment": spec.model_dump(mode="json"),
            "run": str(run.path),
            "sweep_steps": steps,
            "estimated_sweep_s": seconds,
        }
        typer.echo(as_json(document))
        return
    from lrbench.report.plan import readable_time

    line = (
        f"{spec.points} LRs from {spec.start_lr:g} to {spec.end_lr:g}, {len(spec.seeds)} seeds: "
        f"a sweep of {steps:,} steps, about {readable_time(seconds)} here; would write {run.path}"
    )
    stdout().print(line, markup=False, soft_wrap=True)


@printing_apart()
def _carry_out(
    spec: FindSpec, run: RunDir, bench: Workbench, options: Mapping[str, Any], *, quiet: bool
) -> FindResult:
    """The answer that the folder holds already, or that of a new range test; its files."""
    from lrbench.rangetest.result import FindResult
    from lrbench.report.find_files import write_find

    found = run.manifest()
    code = code_of(spec.recipe)
    if found is not None:
        _refuse_another(spec, found, run)
        refuse_changes(found, code, bench.source.facts().get("digest"))
    with run.writer():
        known = run.known().finds.get(spec.id)
        if known is not None:
            with told_again(run):
                result = FindResult.from_dict(known)
                write_find(result, run.path)
            return result
        result = _swept(spec, bench, quiet=quiet)
        run.write_manifest({**find_manifest(spec, bench, options, run), "code": code})
        run.save_find(spec.id, result.to_dict())
        write_find(result, run.path)
    return result


@contextmanager
def told_again(run: RunDir) -> Iterator[None]:
    """What a run holds need not be a range test, whole and sealed though it is.

    Raises:
        MachineError: it could not be read, drawn or printed.
    """
    try:
        yield
    except LrbenchError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise MachineError(f"{run.path} holds a range test that cannot be read") from None


def _refuse_another(spec: FindSpec, found: Mapping[str, Any], run: RunDir) -> None:
    if found.get("command") != "find":
        raise UsageError(f"--out {run.path}: it holds a run of lrbench {found.get('command')}")
    changed = differences(found["experiment"], spec.model_dump(mode="json"))
    if changed:
        raise UsageError(
            "this run was made with another experiment: " + ", ".join(changed),
            hint="choose another folder with --out, or repeat the old options",
        )


def _swept(spec: FindSpec, bench: Workbench, *, quiet: bool) -> FindResult:
    from lrbench.report.find_live import find_bar

    own = ", ".join(own_names(spec.recipe))
    with find_bar(quiet=quiet) as show, blamed(own, "training with") if own else nullcontext():
        for event in bench.find(spec):
            show(event)
    result: FindResult = event
    return result


def find_manifest(
    spec: FindSpec, bench: Workbench, options: Mapping[str, Any], run: RunDir
) -> dict[str, Any]:
    """What a range test was: enough to repeat it."""
    return {
        "command": "find",
        "experiment": spec.model_dump(mode="json"),
        "fingerprint": spec.id,
        "options": dict(options),
        "command_line": command_line("find", options, run.path),
        "toml": resolved_toml(spec, options),
        **bench.facts(),
    }


def tell(result: FindResult, run: RunDir, *, json: bool) -> None:
    """Print the answer of a range test."""
    if json:
        typer.echo(result.to_json())
        return
    from lrbench.report.console import find_tables

    stdout().print(find_tables(result, run.path))
