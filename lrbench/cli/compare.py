"""`lrbench compare`: train under each schedule and rank them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lrbench.cli import comparison as steps
from lrbench.cli import params as p
from lrbench.cli.common import notify, reading
from lrbench.execute import EXECUTORS, Workbench
from lrbench.options import COMPARE, HOST, RECIPE, compare_spec, host_of, merged, to_toml
from lrbench.pipeline import machine_notices, resolve, sized

ALLOWED = (*RECIPE, *HOST, *COMPARE)
EPILOG = (
    "Examples: [bold]lrbench compare[/bold]   ·   "
    "[bold]lrbench compare -s cosine -s 'warmup(5%) + cosine' --epochs 10 --seeds 5[/bold]   ·   "
    "[bold]lrbench compare --dataset mnist --lr 0.05,0.1,0.2 --time-budget 20m[/bold]"
)
_PANEL = "Comparison"


def _option(*names: str, help: str, default: str | None = None) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_PANEL, show_default=default or False)


def compare(
    schedule: Annotated[
        list[str] | None,
        _option("--schedule", "-s", help="A schedule spec, repeatable; six by default."),
    ] = None,
    lr: Annotated[
        str | None,
        _option("--lr", default="auto", help="auto (range test), one LR, or several: 0.05,0.1."),
    ] = None,
    lr_points: Annotated[
        int | None,
        _option(
            "--lr-points", help="LRs tried per schedule with --lr auto: 5; 3 without --epochs."
        ),
    ] = None,
    lr_factor: Annotated[
        float | None, _option("--lr-factor", default="2", help="Ratio of neighbouring LRs.")
    ] = None,
    epochs: Annotated[int | None, _option("--epochs", default="2", help="Of each trial.")] = None,
    metric: Annotated[
        str | None,
        _option("--metric", default="test_accuracy", help="Or test_loss, val_accuracy, val_loss."),
    ] = None,
    reference: Annotated[
        str | None, _option("--reference", help="A schedule to hold the others against.")
    ] = None,
    target_accuracy: Annotated[
        float | None,
        _option("--target-accuracy", help="For epochs to target; by default 99 % of the best."),
    ] = None,
    time_budget: Annotated[
        str | None, _option("--time-budget", help="Size the plan to fit, like 20m.")
    ] = None,
    executor: Annotated[
        str, _option("--executor", default="serial", help="Where trials run.")
    ] = "serial",
    record_steps: Annotated[
        bool | None,
        _option(
            "--record-steps/--no-record-steps", help="Write steps.csv: LR and loss of each step."
        ),
    ] = None,
    resume: Annotated[
        Path | None, _option("--resume", help="Go on with this run, as it was begun.")
    ] = None,
    dataset: p.Dataset = None,
    data_dir: p.DataDir = None,
    download: p.Download = None,
    augment: p.Augment = None,
    model: p.Model = None,
    optimizer: p.Optimizer = None,
    momentum: p.Momentum = None,
    nesterov: p.Nesterov = None,
    weight_decay: p.WeightDecay = None,
    batch_size: p.BatchSize = None,
    group: p.Group = None,
    seeds: p.Seeds = None,
    seed: p.Seed = None,
    device: p.Device = None,
    precision: p.Precision = None,
    threads: p.Threads = None,
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
    options = merged(locals(), config, ALLOWED)
    if print_config:
        typer.echo(to_toml(options), nl=False)
        return
    EXECUTORS.get(executor, option="--executor")
    run, options = steps.located(options, out, resume)
    spec, host = resolve(compare_spec(options), run), host_of(options)
    steps.check_early(spec)
    with reading(spec.recipe.dataset, quiet=quiet or json) as progress:
        bench = Workbench(spec.recipe, host, progress)
        bench.open()
    spec = sized(spec, run, bench)
    notices = steps.check_schedules(spec, bench.tuning_task.steps_per_epoch)
    if not (quiet or json):
        notify([*notices, *machine_notices(run, bench)])
    if dry_run:
        steps.show_plan(spec, bench, run, json=json)
        return
    summary = steps.carry_out(spec, run, bench, options, executor, quiet=quiet or json)
    raise typer.Exit(steps.tell(summary, spec, run, json=json))
