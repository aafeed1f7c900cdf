"""How options are declared: once, in a panel, for every command that takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from lrbench.registry import Registry


@dataclass(frozen=True)
class Declared:
    """An option without its panel: the type of its value, and what Typer is told."""

    kind: Any
    flags: tuple[str, ...]
    settings: dict[str, Any]

    def parameter(self, name: str, panel: str) -> inspect.Parameter:
        option = typer.Option(*self.flags, rich_help_panel=panel, **self.settings)
        annotation: Any = Annotated[self.kind | None, option]
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
        )


def option(kind: Any, *flags: str, help: str, default: Any = None, complete: Any = None) -> Any:
    """An option; `default` is what `--help` shows."""
    shown = False if default is None else str(default)
    settings = {"help": help, "show_default": shown, "autocompletion": complete}
    return Declared(kind, flags, settings)


def flag(flags: str, *, help: str) -> Any:
    """An option that is on, off, or not said."""
    return option(bool, flags, help=help)


def names(registry: Registry[Any]) -> Any:
    """Completion from a registry."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [(e.name, e.summary) for e in registry if e.name.startswith(incomplete)]

    return complete


def takes(wanted: Iterable[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that takes the options of these names, in the order of the panels, and gets
    those that were given as `given: dict[str, Any]`, beside the parameters of its own."""
    from lrbench.cli.panels import PANELS

    names = set(wanted)
    shared = [
        declared.parameter(name, panel)
        for panel, options in PANELS.items()
        for name, declared in options.items()
        if name in names
    ]
    missing = names - {parameter.name for parameter in shared}
    assert not missing, f"options in no panel: {missing}"

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            given = {name: values.pop(name) for name in names}
            command({name: value for name, value in given.items() if value is not None}, **values)

        own = inspect.signature(command, eval_str=True).parameters.values()
        rest = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name != "given"]
        run.__signature__ = inspect.Signature([*shared, *rest])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in (*shared, *rest)}
        del run.__wrapped__
        return run

    return decorated


def _output(*flags: str, panel: str = "Output", help: str, metavar: str | None = None) -> Any:
    return typer.Option(
        *flags, help=help, rich_help_panel=panel, show_default=False, metavar=metavar
    )


Out = Annotated[Path | None, _output("--out", help="The run's folder; results/<name> by default.")]
Json = Annotated[bool, _output("--json", help="Print one JSON document, and nothing else.")]
FailBelow = Annotated[
    float | None,
    _output("--fail-below", help="Exit with 4 unless the best schedule reaches this accuracy."),
]
FailIfWorseThan = Annotated[
    str | None,
    _output("--fail-if-worse-than", help="Exit with 4 if a schedule is worse than this one."),
]
ExportMarkdown = Annotated[
    str | None,
    _output("--export-markdown", metavar="PATH|-", help="The ranking as Markdown; - for stdout."),
]
ExportCsv = Annotated[
    str | None,
    _output("--export-csv", metavar="PATH|-", help="The ranking as CSV; - for stdout."),
]
ExportJson = Annotated[
    str | None,
    _output("--export-json", metavar="PATH|-", help="What --json prints; - for stdout."),
]
Tensorboard = Annotated[
    bool, _output("--tensorboard", help="Also write event files for TensorBoard.")
]
Quiet = Annotated[bool, _output("--quiet", "-q", help="No progress.")]
Config = Annotated[
    Path | None,
    _output(
        "--config",
        panel="Run",
        help="A TOML file of options, or the manifest.json of a run; the command line wins.",
    ),
]
PrintConfig = Annotated[
    bool, _output("--print-config", panel="Run", help="Print all options as TOML, and stop.")
]
DryRun = Annotated[
    bool, _output("--dry-run", panel="Run", help="Show the plan and its time, and stop.")
]
