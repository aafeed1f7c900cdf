"""`lrbench bench`: this machine, the engine against an ordinary PyTorch loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lrbench.cli import params as p
from lrbench.cli.common import as_json, stderr, stdout
from lrbench.files import readable_faults
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
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Instead: what operations, captured graphs and streams cost here.",
            rich_help_panel="Run",
        ),
    ] = False,
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
    from lrbench.engine.device import default_threads, open_device

    if csv is not None:  # a wrong path fails now, not after the rounds
        with readable_faults(csv):
            csv.parent.mkdir(parents=True, exist_ok=True)
            csv.open("ab").close()
    device, threads = str(open_device(host.device)), host.threads or default_threads()
    console = stderr()

    def say(line: str) -> None:
        if not (quiet or json):
            console.print(line, markup=False, soft_wrap=True)

    if probe:
        _tell(*_probed(device, threads, say, quick=quick), csv, json=json)
        return
    from lrbench.bench.plan import Workload
    from lrbench.bench.run import run
    from lrbench.report.bench_console import bench_tables

    work = Workload(recipe, device, threads, IMAGES, host.data_dir)
    result = run(work, rounds=rounds or (3 if quick else 5), quick=quick, say=say)
    _tell(result.to_dict(), result.rows(), bench_tables(result), csv, json=json)


def _probed(
    device: str, threads: int, say: Callable[[str], None], *, quick: bool
) -> tuple[Any, Any, Any]:
    """The probe's findings as a document, as rows and as a table."""
    from lrbench.bench.probe import probe
    from lrbench.report.bench_console import probe_table

    findings = []
    for found in probe(device, small=quick or device == "cpu", threads=threads):
        findings.append(found)
        say(f"{found.name}: {found.note or f'{found.value:.4g} {found.unit}'}")
    rows = [asdict(found) for found in findings]
    return {"device": device, "findings": rows}, rows, probe_table(findings)


def _tell(document: Any, rows: Any, table: Any, csv: Path | None, *, json: bool) -> None:
    if json:
        typer.echo(as_json(document))
    else:
        stdout().print(table)
    if csv is not None:
        from lrbench.report.bench_files import write_bench

        write_bench(rows, csv)
