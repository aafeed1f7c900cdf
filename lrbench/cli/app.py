"""The commands, assembled."""

from typing import Annotated

import typer

from lrbench import __version__
from lrbench.cli import compare, data, find, report, schedules
from lrbench.cli.params import OptionsCommand

app = typer.Typer(
    name="lrbench",
    help="Which learning rate to start from, and which schedule to use.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("find", cls=OptionsCommand, epilog=find.EPILOG)(find.find)
app.command("compare", cls=OptionsCommand, epilog=compare.EPILOG)(compare.compare)
app.add_typer(schedules.app, name="schedules")
app.add_typer(data.app, name="data")
app.command("report", cls=OptionsCommand)(report.report)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lrbench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which learning rate to start from, and which schedule to use."""
