"""`lrbench bench`: this machine, the engine against an ordinary PyTorch loop."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from lrbench.cli import params as p
from lrbench.cli.common import stderr, stdout
from lrbench.options import BENCH, host_of, recipe_of

IMAGES = 3600
EPILOG = (
    "Examples: [bold]lrbench bench[/bold]   ·   [bold]lrbench bench --quick --threads 1[/bold]   ·"
    "   [bold]lrbench bench --model resnet8 --dataset cifar10 --csv bench.csv[/bold]"
)


@p.takes(BENCH)
def bench(
    given: dict[str, Any],
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fewer loops and short rounds.", rich_help_panel="Run"),
    ] = False,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="Rounds: 5; 3 with --quick.", rich_help_panel="Run",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="Write the lines to this file.", rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:  # fmt: skip
    """Measure this machine: the engine against the loop that people write by hand.

    Both train the same model on the same data, in interleaved rounds; figures are medians of
    per-round ratios with their range. A difference under 15 % is called no difference.
    """
    recipe, host = recipe_of(given), host_of(given)
    from lrbench.bench.plan import Workload
    from lrbench.bench.run import run
    from lrbench.engine.device import default_threads, open_device

    device = str(open_device(host.device))
    threads = host.threads or default_threads()
    work = Workload(recipe, device, threads, IMAGES, host.data_dir)
    console = stderr()

    def say(line: str) -> None:
        if not (quiet or json):
            console.print(line, markup=False, soft_wrap=True)

    result = run(work, rounds=rounds or (3 if quick else 5), quick=quick, say=say)
    if csv is not None:
        from lrbench.report.bench_files import write_bench

        write_bench(result, csv)
    if json:
        typer.echo(jsonlib.dumps(result.to_dict(), indent=2, ensure_ascii=False))
        return
    from lrbench.report.bench_console import bench_tables

    stdout().print(bench_tables(result))
