"""Options as command parameters with help and completion; also the options that no spec
declares."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperOption

from lrbench.inputs.commands import Declared
from lrbench.options import Opt
from lrbench.options.option import plain_digits

EVERYTHING = "lrbench: show every option"


class OptionsCommand(TyperCommand):
    """A command that completes hidden options, and shows them in `--help` unless it has a
    `--help-all`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        folds = any(param.name == "help_all" for param in self.params)
        shown = self._shown(ctx, folded=folds and EVERYTHING not in ctx.meta)
        super(OptionsCommand, shown).format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        return super(OptionsCommand, self._shown(ctx)).shell_complete(ctx, incomplete)

    def _shown(self, ctx: Any, *, folded: bool = False) -> "OptionsCommand":
        """The command with registered names in its help, and without hidden options if `folded`."""
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
    """Add these options to a command, which receives those on the command line as `given:
    dict[str, Any]`. A parameter whose type is a dataclass becomes one option per field.

    Defaults are left to the specs, because a TOML file may set what the command line does not.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        groups: dict[str, Any] = {
            name: p.annotation for name, p in own.items() if is_dataclass(p.annotation)
        }

        @wraps(command)
        def run(**values: Any) -> None:
            values.pop("help_all", None)
            given = {key: values.pop(key) for key in allowed}
            if "given" in own:
                values["given"] = {key: v for key, v in given.items() if v is not None}
            for name, group in groups.items():
                values[name] = group(*(values.pop(f"{name}_{f.name}") for f in fields(group)))
            command(**values)

        parameters = [_parameter(option) for option in allowed.values()]
        for name, parameter in own.items():
            if name in groups:
                hints = get_type_hints(groups[name], include_extras=True)
                for each in fields(groups[name]):
                    key = f"{name}_{each.name}"
                    parameters.append(_keyword(key, hints[each.name], each.default))
            elif name != "given":
                parameters.append(_keyword(name, parameter.annotation, parameter.default))
        if allowed:
            parameters.append(_keyword("help_all", HelpAll, False))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__doc__ = _reflowed(command.__doc__ or "")
        del run.__wrapped__
        return run

    return decorated


def _keyword(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _reflowed(text: str) -> str:
    """Each paragraph on one line, because Typer would keep the line breaks."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _parameter(option: Opt) -> Parameter:
    kind: Any = str if option.kind is object else option.kind
    number: dict[str, Any] = {}
    if kind in (int, float):
        number = {"parser": _number(kind), "metavar": f"<{kind.__name__}>"}
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
    return _keyword(option.key, Annotated[kind | None, declared], None)


def _number(kind: type[int] | type[float]) -> Callable[[str], Any]:
    """Parse a number, or keep the text for the spec to refuse in our words."""

    def read(text: str) -> Any:
        try:
            return kind(plain_digits(text))
        except ValueError:
            return text

    return read


def shown_default(option: Opt) -> str:
    """The default as the help shows it; empty if there is nothing to show.

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


def _completion(option: Opt) -> Callable[[str], list[tuple[str, str]]] | None:
    if not (option.values or option.choices):
        return None

    def complete(incomplete: str) -> list[tuple[str, str]]:  # Typer checks the parameter's name
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


def output(flags: str, help: str, panel: str = "Output", **settings: Any) -> Any:
    """An option that no spec declares; if hidden, only `--help-all` shows it."""
    return typer.Option(
        *flags.split(), help=help, rich_help_panel=panel, show_default=False, **settings
    )


# fmt: off
Out = Annotated[Path | None, output("--out", "The run's folder; results/<name> by default.")]
Json = Annotated[bool, output("--json", "Print one JSON document, and nothing else.")]
Details = Annotated[bool, output("--details", "Show everything that was measured.")]
Quiet = Annotated[bool, output("--quiet -q", "No progress, only warnings.")]
Config = Annotated[Path | None, output(
    "--config", "A TOML file of options, or the manifest.json of a run; the command line wins.",
    "Run"
)]
PrintConfig = Annotated[bool, output(
    "--print-config", "Print all options as TOML, then exit.", "Run", hidden=True
)]
DryRun = Annotated[bool, output("--dry-run", "Show the plan and its time, then exit.", "Run")]
# fmt: on
