"""Options, each declared once, at the spec field that it sets."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from lrbench.errors import UsageError, in_python, keyword
from lrbench.registry import did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])
Options = Mapping[str, Any]
"""Options as users type them, by key: `--batch-size 64,128` is `{"batch_size": "64,128"}`."""


@dataclass(frozen=True)
class Opt:
    """How users set a field: `momentum: Annotated[Momentum, Opt("--momentum", "…")] = 0.9`.

    The command line with its help and completion, TOML files, `--print-config`, the keywords of the
    Python API, the wording of error messages and the plan table are all derived from it; the
    field's validators parse the typed value. `options_of` adds what the field and its spec imply.
    """

    flags: str  # `--schedule -s` or `--verify/--no-verify`; the first one names the option
    help: str  # one sentence; missing `values` are appended, `{choices}` are registered names
    panel: str = ""  # its heading in the help; default: the spec's `PANEL`
    common: bool = False  # shown by `--help`; the others only by `--help-all`
    command: str = ""  # the only command that takes it; default: the spec's `COMMAND`
    # What is typed: str, int, float, bool, or a list of texts; `object` is text on the command
    # line and may be a number or a list elsewhere. Default: the field's type.
    kind: Any = None
    choices: str = ""  # where names are registered, as `package:REGISTRY`
    values: tuple[str, ...] = ()  # allowed words; default: those of the field's `Literal`
    off: str = ""  # the word to type for an empty text
    default: Any = None  # as typed; default: the field's default
    default_note: str = ""  # cases with another default: `32 for mnist5k`
    show: Callable[[Any], Any] | None = None  # spec -> the value as typed, or None
    own: bool = False  # may be `module:name` or, in Python, an object
    only: tuple[str, ...] = ()  # the problems (`Recipe.problem`) that take it; default: all
    settings: bool = False  # `key=value` pairs; a table in TOML, a mapping in Python
    once: bool = False  # for one call only: not stored with a run
    swept: bool = True  # also a key of `--range-test`
    field: str = ""
    field_default: Any = None

    @property
    def names(self) -> list[str]:
        """The flags as Typer takes them, the long one first."""
        return self.flags.split()

    @property
    def flag(self) -> str:
        """The option as typed: `--batch-size`."""
        return self.names[0].partition("/")[0]

    @property
    def key(self) -> str:
        """The option's name in TOML and Python: `batch_size`."""
        return self.flag[2:].replace("-", "_")

    @property
    def repeatable(self) -> bool:
        return bool(self.kind == list[str])

    def shown(self, spec: Any) -> Any:
        """The value as typed, from the spec."""
        if self.show is not None:
            return self.show(spec)
        return _as_typed(getattr(spec, self.field), self.off)

    def completions(self) -> Iterator[tuple[str, str]]:
        """(name, summary) of each known value, without hidden entries."""
        yield from ((value, "") for value in self.values)
        if self.choices:
            package, _, name = self.choices.partition(":")
            found = getattr(import_module(package), name)
            entries = found.values() if isinstance(found, Mapping) else found
            for entry in entries() if callable(entries) else entries:
                if not getattr(entry, "facts", {}).get("hidden"):
                    yield entry.name, entry.summary


def named(flag: str, fault: UsageError) -> UsageError:
    """The fault, prefixed with the option unless it starts with one."""
    message = fault.message if fault.message.startswith("--") else f"{flag}: {fault.message}"
    return UsageError(message, hint=fault.hint)


def plain_digits(value: Any) -> Any:
    """The value; raises ValueError for texts such as `1_000` or full-width digits, which Python
    would accept as numbers."""
    for text in map(str, listed(value)):
        if re.search(r"\d_\d", text) or any(c.isdigit() and not c.isascii() for c in text):
            raise ValueError("write numbers with the digits 0 to 9 only")
    return value


def listed(value: Any) -> list[Any]:
    """The value as a list; a single value becomes a list of one."""
    return list(value) if isinstance(value, (list, tuple, range)) else [value]


def options_of(spec: Any) -> Mapping[str, Opt]:
    """The options that a spec declares, completed, by key and in field order."""
    return {
        opt.key: _completed(opt, spec, field, info.annotation, info.default)
        for field, info in spec.__pydantic_fields__.items()
        for opt in info.metadata
        if isinstance(opt, Opt)
    }


def _completed(opt: Opt, spec: Any, field: str, annotation: Any, default: Any) -> Opt:
    """The declaration, completed from its field and spec."""
    kind = _bare(annotation)
    words = get_args(kind) if get_origin(kind) is Literal else ()
    values = opt.values or tuple(filter(None, (opt.off, *words)))
    told = all(value in opt.help for value in values)
    kind = {Literal: str, tuple: list[str]}.get(get_origin(kind), kind)
    return replace(
        opt,
        help=opt.help if told else f"{opt.help} {', '.join(values)}.",
        panel=opt.panel or getattr(spec, "PANEL", "Run"),
        command=opt.command or getattr(spec, "COMMAND", ""),
        kind=kind if opt.kind is None else opt.kind,
        values=values,
        default=_as_typed(default, opt.off) if opt.default is None else opt.default,
        field=field,
        field_default=default,
    )


def _as_typed(value: Any, off: str) -> Any:
    return off if value == "" else list(value) if isinstance(value, tuple) else value


def changed(spec: Any, besides: Iterable[str] = ()) -> Iterator[str]:
    """`clip norm 1.0` for each option that differs from its default, without keys in `besides`."""
    for key, option in options_of(type(spec)).items():
        value = getattr(spec, option.field)
        if key not in besides and value != option.field_default:
            name, shown = key.replace("_", " "), option.shown(spec)
            yield name if shown is True else f"{name} {said(shown)}"


def said(value: Any) -> str:
    """A value as users would type it.

    >>> said([64, 128]), said(None), said(True)
    ('64,128', 'none', 'on')
    """
    if isinstance(value, (list, tuple)):
        return ",".join(map(said, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value in (None, "") else str(value)


def _bare(annotation: Any) -> Any:
    """The type without its bounds and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _bare(next(part for part in get_args(annotation) if part is not NoneType))
    return annotation


def refuse_unknown(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises UsageError for a keyword that is not an option of the function."""
    names = list(known)
    for key in given:
        if key not in names:
            hint = did_you_mean(key, names)
            raise UsageError(f"{function}: unknown option {key!r}", hint=hint)


def with_keywords(
    allowed: Mapping[str, Opt], *, without: Iterable[str] = ()
) -> Callable[[Function], Function]:
    """Add the `allowed` options, except those in `without`, to the signature and docstring of a
    function that takes them as `**options`."""
    options = {keyword(key): option for key, option in allowed.items() if key not in {*without}}

    def documented(function: Function) -> Function:
        signature = inspect.signature(function)
        *own, _ = signature.parameters.values()
        taken = {parameter.name for parameter in own}
        more = [_parameter(name, each) for name, each in options.items() if name not in taken]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *more]
        )
        lines = [f"    {name}: {_help(option)}" for name, option in options.items()]
        wrapped = [textwrap.fill(line, 96, subsequent_indent=" " * 8) for line in lines]
        head = inspect.cleandoc(function.__doc__ or "")
        function.__doc__ = "\n".join([head, "", "Options:", *wrapped, ""])
        return function

    return documented


def _parameter(name: str, option: Opt) -> inspect.Parameter:
    default = option.default if isinstance(option.default, (str, int, float, list)) else None
    kind = Any if option.own or option.kind is object else option.kind
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=kind if default is not None else kind | None,
    )


def _help(option: Opt) -> str:
    names = ", ".join(name for name, _ in option.completions()) if option.choices else ""
    return in_python(option.help.replace("{choices}", names))
