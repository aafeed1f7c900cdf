"""Options as parameters of a command, with help and completion; and those of no spec."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BeforeValidator
from rich.markup import escape
from typer.core import TyperCommand, TyperOption

from lrbench.errors import UsageError
from lrbench.inputs.commands import Declared
from lrbench.options import Opt
from lrbench.options.option import plain_digits

Real = Annotated[float, BeforeValidator(plain_digits)]
EVERYTHING = "lrbench: show every option"


class OptionsCommand(TyperCommand):
    """A command whose `--help` leaves out hidden options, if it has a `--help-all` to show them,
    and whose completion knows all of them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        folds = any(param.name == "help_all" for param in self.params)
        shown = self._shown(ctx, folded=folds and EVERYTHING not in ctx.meta)
        super(OptionsCommand, shown).format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        return super(OptionsCommand, self._shown(ctx)).shell_complete(ctx, incomplete)

    def _shown(self, ctx: Any, *, folded: bool = False) -> OptionsCommand:
        """The command with the registered names in its help; hidden options stay so if `folded`."""
        shown = copy.copy(self)
        shown.params = [copy.copy(param) for param in self.params]
        for param in shown.params:
            if isinstance(param, TyperOption):
                param.hidden &= folded
            text = getattr(param, "help", None) or ""
            if "{choices}" in text:
                names = ", ".join(item.value for item in param.shell_complete(ctx, ""))
                param.help = text.replace("{choices}", names)  # type: ignore[attr-defined]
        return shown


def takes(allowed: Declared) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that takes these options and gets those that were given as
    `given: dict[str, Any]`, next to the parameters of its own.

    The defaults are those of the specs: a TOML file may set what the command line leaves open.
    """
    shared = [_parameter(option) for option in allowed.values()]

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(help_all: bool, **values: Any) -> None:
            given = {key: values.pop(key) for key in allowed}
            command({key: value for key, value in given.items() if value is not None}, **values)

        own = inspect.signature(command, eval_str=True).parameters.values()
        rest = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name != "given"]
        everything = inspect.Parameter(
            "help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=HelpAll
        )
        parameters = [*shared, *rest, everything]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__doc__ = _reflowed(command.__doc__ or "")
        del run.__wrapped__
        return run

    return decorated


def _reflowed(text: str) -> str:
    """Each paragraph on one line: Typer would keep the line breaks."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _parameter(option: Opt) -> inspect.Parameter:
    kind: Any = {object: str, float: Real}.get(option.kind, option.kind)
    number: dict[str, Any] = {"parser": _whole(option)} if kind is int else {}
    if option.kind in (int, float):
        number["metavar"] = f"<{option.kind.__name__}>"
    default = shown_default(option)
    declared = typer.Option(
        *option.names,
        help=escape(option.help) + (f" [dim]\\[default: {default}][/dim]" if default else ""),
        rich_help_panel=option.panel,
        show_default=False,
        hidden=not option.common,
        autocompletion=_completion(option),
        **number,
    )
    annotation: Any = Annotated[kind | None, declared]
    return inspect.Parameter(
        option.key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _whole(option: Opt) -> Callable[[str], int]:
    """Reads a whole number, or refuses the text in our words."""

    def read(text: str) -> int:
        try:
            return int(plain_digits(text))
        except ValueError:
            several = option.key == "seeds" and "," in text
            hint = "it says how many; --seed names the first" if several else ""
            said = "must be a whole number, in the digits 0 to 9"
            raise UsageError(f"{option.flag} {text}: {said}", hint=hint) from None

    return read


def shown_default(option: Opt) -> str:
    """The default as the help shows it; empty where there is nothing to show.

    >>> from lrbench.inputs import COMPARE
    >>> [shown_default(COMPARE[key]) for key in ("momentum", "lr", "lr_points", "clip_norm")]
    ['0.9', 'auto', '3', '']
    """
    default, note = option.default, option.default_note
    if isinstance(default, list):
        return ", ".join(default)
    if isinstance(default, bool) or not isinstance(default, (str, int, float)):
        return ""
    text = f"{default:g}" if isinstance(default, float) else str(default)
    return f"{text}; {note}" if note else text


def _share(text: str) -> float:
    """Reads `97%` or `0.97`, or refuses the text in our words."""
    try:
        number = float(plain_digits(text.removesuffix("%")))
    except ValueError:
        number = math.nan
    share = number / 100 if text.endswith("%") else number
    if not 0 < share <= 1:
        raise UsageError(f"--fail-below {text}: an accuracy is a share, such as 97% or 0.97")
    return share


def _completion(option: Opt) -> Callable[[str], list[tuple[str, str]]] | None:
    if not (option.values or option.choices):
        return None

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [found for found in option.completions() if found[0].startswith(incomplete)]

    return complete


def _help_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.meta[EVERYTHING] = True
        ctx.command.format_help(ctx, ctx.make_formatter())
        raise typer.Exit


HelpAll = Annotated[
    bool,
    typer.Option("--help-all", callback=_help_all, is_eager=True, help="Show every option."),
]


def _output(flags: str, help: str, panel: str = "Output", **settings: Any) -> Any:
    """An option that no spec declares; hidden ones are shown by `--help-all` only."""
    return typer.Option(
        *flags.split(), help=help, rich_help_panel=panel, show_default=False, **settings
    )


PLACE: dict[str, Any] = {"metavar": "PATH|-", "hidden": True}

# fmt: off
Out = Annotated[Path | None, _output("--out", "The run's folder; results/<name> by default.")]
Resume = Annotated[Path | None, _output("--resume", "Continue this run with its options.", "Run")]
Json = Annotated[bool, _output("--json", "Print one JSON document, and nothing else.")]
FailBelow = Annotated[float | None, _output(
    "--fail-below", "Exit with 4 unless the best schedule reaches this accuracy: 97% or 0.97.",
    parser=_share, metavar="<share>"
)]
FailIfWorseThan = Annotated[str | None, _output(
    "--fail-if-worse-than", "Exit with 4 if a schedule is worse than this one.", hidden=True
)]
ExportMarkdown = Annotated[str | None, _output(
    "--export-markdown", "The ranking as Markdown; - for stdout.", **PLACE
)]
ExportCsv = Annotated[str | None, _output(
    "--export-csv", "The ranking as CSV; - for stdout.", **PLACE
)]
ExportJson = Annotated[str | None, _output(
    "--export-json", "What --json prints; - for stdout.", **PLACE
)]
ExportLatex = Annotated[str | None, _output(
    "--export-latex", "The ranking as a LaTeX table (booktabs); - for stdout.", **PLACE
)]
Extrapolate = Annotated[str | None, _output(
    "--extrapolate", "Also say the best LR at this length, 40ep, as in compare.", hidden=True
)]
Tensorboard = Annotated[bool, _output(
    "--tensorboard", "Also write event files for TensorBoard.", hidden=True
)]
Details = Annotated[bool, _output("--details", "Show everything that was measured.")]
Quiet = Annotated[bool, _output("--quiet -q", "No progress, only warnings.")]
Config = Annotated[Path | None, _output(
    "--config", "A TOML file of options, or the manifest.json of a run; the command line wins.",
    "Run"
)]
PrintConfig = Annotated[bool, _output(
    "--print-config", "Print all options as TOML, and stop.", "Run", hidden=True
)]
DryRun = Annotated[bool, _output("--dry-run", "Show the plan and its time, and stop.", "Run")]
# fmt: on
