"""Options, each declared once: at the field of a spec that it sets."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from lrbench.errors import UsageError

Options = Mapping[str, Any]
"""Options as people type them, by key: `--batch-size 64,128` is `{"batch_size": "64,128"}`."""


@dataclass(frozen=True)
class Opt:
    """How people set a field: `momentum: Annotated[Momentum, Opt("--momentum", "…")] = 0.9`.

    The command line with its help and completion, TOML files, `--print-config`, the keywords of
    the Python API, the wording of refusals and the plan table are all made from it.

    Attributes:
        flags: such as `--schedule -s` or `--verify/--no-verify`; the first one names the option.
        help: one sentence; `values` follow it, and `{choices}` stands for registered names.
        panel: its heading in the help; by default the `PANEL` of its spec.
        common: shown by `--help`; all others by `--help-all` only.
        command: the only command that takes it; by default the `COMMAND` of its spec, if any.
        kind: what is typed: str, int, float, bool, or a list of texts; `object` is text on the
            command line, and may be a number or a list elsewhere. By default the field's own type.
        choices: where names are registered, as `package:REGISTRY`.
        values: the words that may be typed; by default those of the field's `Literal`.
        off: the word for an empty text.
        default: what is meant without the option, as typed, if that is not the field's default.
        default_note: for the help, where the default is another one: `32 for mnist5k`.
        parse: value as typed -> the field's value.
        parse_among: (value as typed, all options) -> the field's value, if other options matter.
        show: spec -> the value as typed, None for nothing.
        own: may be `module:name`, so that Python takes an object.
        images: belongs to image classification, and not next to `--task`.
        settings: `key=value` pairs, a table in TOML and a mapping in Python.
        once: meant for one call: a run does not remember it.
        swept: a key of `--range-test` as well.
    """

    flags: str
    help: str
    panel: str = ""
    common: bool = False
    command: str = ""
    kind: Any = None
    choices: str = ""
    values: tuple[str, ...] = ()
    off: str = ""
    default: Any = None
    default_note: str = ""
    parse: Callable[[Any], Any] | None = None
    parse_among: Callable[[Any, Options], Any] | None = None
    show: Callable[[Any], Any] | None = None
    own: bool = False
    images: bool = False
    settings: bool = False
    once: bool = False
    swept: bool = True


@dataclass(frozen=True)
class Option:
    """An option of a spec: its declaration, its field, and the field's type and default."""

    opt: Opt
    field: str
    annotation: Any
    field_default: Any

    @property
    def names(self) -> list[str]:
        """As Typer takes them, the long one first."""
        return self.opt.flags.split()

    @property
    def flag(self) -> str:
        """As it is typed: `--batch-size`."""
        return self.names[0].partition("/")[0]

    @property
    def key(self) -> str:
        """Its name in TOML and in Python: `batch_size`."""
        return self.flag[2:].replace("-", "_")

    @property
    def kind(self) -> Any:
        """The type of what is typed."""
        if self.opt.kind is not None:
            return self.opt.kind
        bare = _bare(self.annotation)
        if get_origin(bare) is tuple:
            return list[str]
        return str if get_origin(bare) is Literal else bare

    @property
    def repeatable(self) -> bool:
        return bool(self.kind == list[str])

    @property
    def values(self) -> tuple[str, ...]:
        """All that may be typed, where that is a short list."""
        bare = _bare(self.annotation)
        named = get_args(bare) if get_origin(bare) is Literal else ()
        return self.opt.values or (*filter(None, [self.opt.off]), *filter(None, named))

    @property
    def default(self) -> Any:
        """The default as typed."""
        if self.opt.default is not None:
            return self.opt.default
        found = self.field_default
        return self.opt.off if found == "" else list(found) if isinstance(found, tuple) else found

    def read(self, options: Options) -> Any:
        """The field's value from what was typed.

        Raises:
            UsageError: an invalid value; the message names the option.
        """
        value = options[self.key]
        if self.opt.off and value == self.opt.off:
            return ""
        try:
            if self.opt.parse_among is not None:
                return self.opt.parse_among(value, options)
            if self.opt.parse is not None:
                return self.opt.parse(value)
        except UsageError as fault:
            raise named(self.flag, fault) from None
        except ValueError as fault:
            raise UsageError(f"{self.flag} {value}: {fault}") from None
        return tuple(listed(value)) if self.repeatable else value

    def show(self, spec: Any) -> Any:
        """What was typed, from the spec: `read` backwards."""
        if self.opt.show is not None:
            return self.opt.show(spec)
        value = getattr(spec, self.field)
        if isinstance(value, tuple):
            return list(value)
        return self.opt.off if value == "" else value

    @property
    def help(self) -> str:
        """Its line of help, with the words that may be typed; `{choices}` still stands for
        registered names, which are read only when they are shown."""
        silent = [value for value in self.values if value not in self.opt.help]
        return f"{self.opt.help} {', '.join(self.values)}." if silent else self.opt.help

    def completions(self) -> Iterator[tuple[str, str]]:
        """(name, summary) of all that may be typed; registered names may be hidden."""
        yield from ((value, "") for value in self.values)
        if self.opt.choices:
            package, _, name = self.opt.choices.partition(":")
            found = getattr(import_module(package), name)
            entries = found.values() if isinstance(found, Mapping) else found
            for entry in entries() if callable(entries) else entries:
                if not getattr(entry, "facts", {}).get("hidden"):
                    yield entry.name, entry.summary


def named(flag: str, fault: UsageError) -> UsageError:
    """The fault, with the option's name before it."""
    message = fault.message if fault.message.startswith("--") else f"{flag}: {fault.message}"
    return UsageError(message, hint=fault.hint)


def listed(value: Any) -> list[Any]:
    """The value as a list: itself if it is one."""
    return list(value) if isinstance(value, (list, tuple, range)) else [value]


def options_of(spec: type) -> Mapping[str, Option]:
    """The options that a spec declares, by key, in the order of its fields."""
    return _options_of(spec)


@cache
def _options_of(spec: Hashable) -> dict[str, Option]:
    found = [
        Option(_completed(opt, spec), field, info.annotation, info.default)
        for field, info in spec.__pydantic_fields__.items()  # type: ignore[attr-defined]
        for opt in info.metadata
        if isinstance(opt, Opt)
    ]
    return {option.key: option for option in found}


def _completed(opt: Opt, spec: Any) -> Opt:
    """The declaration with what its spec says for all of its options."""
    panel, command = getattr(spec, "PANEL", "Run"), getattr(spec, "COMMAND", "")
    return replace(opt, panel=opt.panel or panel, command=opt.command or command)


def changed(spec: Any, besides: Iterable[str] = ()) -> Iterator[str]:
    """`clip norm 1.0` for each option whose field is not at its default, `besides` some keys."""
    for key, option in options_of(type(spec)).items():
        value = getattr(spec, option.field)
        if key not in besides and value != option.field_default:
            name = key.replace("_", " ")
            yield name if value is True else f"{name} {said(option.show(spec))}"


def said(value: Any) -> str:
    """A value as people would type it.

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
