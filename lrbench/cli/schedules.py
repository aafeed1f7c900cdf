"""`lrbench schedules`: list schedules, show their LRs and print their torch code."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli.common import as_json, notify, stdout
from lrbench.errors import LrbenchError, UsageError
from lrbench.plugins import described

app = typer.Typer(
    no_args_is_help=True, help="List and preview schedules, and print their torch code."
)

Specs = Annotated[list[str], typer.Argument(metavar="SPEC…", help="Schedule specs.")]
Lr = Annotated[float, typer.Option("--lr", help="The base learning rate.")]
COUNT = {"min": 1, "max": 10_000_000}
Steps = Annotated[int, typer.Option("--steps", help="Optimizer steps of the run.", **COUNT)]
StepsPerEpoch = Annotated[
    int, typer.Option("--steps-per-epoch", help="Optimizer steps per epoch.", **COUNT)
]


@app.command("list")
def list_(
    family: Annotated[
        str | None,
        typer.Option("--family", help="ordered, adaptive, custom, cyclic or warmup."),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Plot them all to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List every schedule: what it does, its formula and its torch equivalent."""
    from lrbench.registry import did_you_mean
    from lrbench.report.schedules import catalogue_table, draw_catalogue
    from lrbench.schedules import catalogue

    entries = list(catalogue())
    families = sorted({entry.facts["family"] for entry in entries})
    if family is not None and family not in families:
        raise UsageError(f"--family {family}", hint=did_you_mean(family, families))
    shown = [entry for entry in entries if family in (None, entry.facts["family"])]
    if plot is not None:
        draw_catalogue(shown, plot)
    if json:
        rows = [{"name": entry.name, "summary": entry.summary, **entry.facts} for entry in shown]
        typer.echo(as_json(rows))
        return
    stdout().print(catalogue_table(shown))


@app.command("show")
def show(
    specs: Specs,
    lr: Lr = 0.1,
    steps: Steps = 1000,
    steps_per_epoch: StepsPerEpoch = 100,
    csv_path: Annotated[
        str | None, typer.Option("--csv", help="Write the LR of each step here; - for stdout.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Plot them all to this file.")] = None,
) -> None:
    """Show the learning rates of schedule specs as a table, CSV file or plot."""
    from lrbench.files import replace_file
    from lrbench.report.schedules import draw_schedules, preview_table
    from lrbench.schedules import check, expand, parse

    tables: dict[str, list[float]] = {}
    notices = []
    for parsed in (parse(one) for spec in specs for one in expand(spec)):
        base = parsed.fixed_lr or lr
        with _own_code(str(parsed)):
            notices += check(parsed, base, steps, steps_per_epoch)
            table = parsed.table(lr=base, steps=steps, steps_per_epoch=steps_per_epoch)
        tables[str(parsed)] = table
    notify(notices)
    if csv_path == "-":
        typer.echo(_csv(tables, steps_per_epoch), nl=False)
    elif csv_path is not None:
        replace_file(Path(csv_path), _csv(tables, steps_per_epoch).encode())
    if plot is not None:
        draw_schedules(tables, steps_per_epoch, plot)
    if csv_path != "-":
        stdout().print(preview_table(tables))


@app.command("code")
def code(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A schedule spec.")],
    lr: Lr = 0.1,
    steps: Steps = 1000,
    steps_per_epoch: StepsPerEpoch = 100,
) -> None:
    """Print plain torch code that gives the same learning rates."""
    from lrbench import schedules

    with _own_code(spec):
        parsed = schedules.parse(spec)
        schedules.check(parsed, parsed.fixed_lr or lr, steps, steps_per_epoch)
        typer.echo(schedules.code(parsed, lr, steps, steps_per_epoch))


@contextmanager
def _own_code(spec: str) -> Iterator[None]:
    """Report an exception from the user's schedule in one line."""
    try:
        yield
    except LrbenchError:
        raise
    except Exception as fault:
        if ":" not in spec:
            raise
        raise UsageError(f"{spec}: {described(fault)}") from fault


def _csv(tables: dict[str, list[float]], steps_per_epoch: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["schedule", "step", "epoch", "lr"])
    for name, lrs in tables.items():
        writer.writerows((name, step, step / steps_per_epoch, lr) for step, lr in enumerate(lrs))
    return text.getvalue()
