"""From a node of a spec to a value of the type that its parameter has."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from lrbench.errors import UsageError
from lrbench.registry import did_you_mean
from lrbench.schedules.definitions import Bounds
from lrbench.schedules.expression import Formula, compiled
from lrbench.schedules.grammar import Apply, Items, Name, Node, Number, Plus, Source, Text, Times
from lrbench.schedules.spec import Call, Spec
from lrbench.schedules.units import Length, Level, Moment

LAMBDA = re.compile(r"lambda\s+([A-Za-z_]\w*)\s*:\s*")
Build = Callable[[Node, Source], Spec]


def read(node: Node, annotation: Any, source: Source, build: Build, name: str) -> Any:
    """The value that a node has for a parameter of that type.

    Raises:
        UsageError: it has none; the message says where, and what was expected.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _read_union(node, arguments, source, build, name)
    if origin is Annotated:
        written = next((mark for mark in arguments[1:] if mark in _SCALARS), arguments[0])
        value = read(node, written, source, build, name)
        for limit in arguments[1:]:
            if isinstance(limit, Bounds) and value not in limit:
                raise source.fault(node.position, f"{name} must be {limit}")
        return value
    if origin is tuple:
        if not isinstance(node, Items):
            raise _mismatch(node, source, name, "a list such as [30ep, 60ep]")
        return tuple(read(item, arguments[0], source, build, name) for item in node.values)
    if origin is Literal:
        return _read_word(node, arguments, source, name)
    if annotation is Call:
        return _read_call(node, source, build, name)
    return _SCALARS[annotation](node, source, name)


def generic(node: Node, source: Source, build: Build, name: str) -> Any:
    """The value of a node where no type is known: an argument of somebody's own function."""
    match node:
        case Items(values=values):
            return tuple(generic(value, source, build, name) for value in values)
        case Text(value=text):
            return text
        case Name(name="True" | "False" | "None" as word):
            return {"True": True, "False": False, "None": None}[word]
        case Name(name=word):
            return word
        case Number(unit="", text=text):
            return int(text) if text.lstrip("-").isdigit() else _finite(node, source, name)
    raise _mismatch(node, source, name, "a plain number, a text or a list")


def _read_union(
    node: Node, options: tuple[Any, ...], source: Source, build: Build, name: str
) -> Any:
    if isinstance(node, Name) and node.name == "None" and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    for kind in kinds[:-1]:
        try:
            return read(node, kind, source, build, name)
        except UsageError:
            continue
    return read(node, kinds[-1], source, build, name)


def _read_call(node: Node, source: Source, build: Build, name: str) -> Call:
    spec = build(node, source)
    if not isinstance(spec, Call):
        raise source.fault(node.position, f"{name} takes torch's schedulers, one by one")
    return spec


def _read_word(node: Node, words: tuple[str, ...], source: Source, name: str) -> str:
    word = node.value if isinstance(node, Text) else getattr(node, "name", "")
    if not isinstance(node, (Name, Text)):
        raise _mismatch(node, source, name, "one of " + ", ".join(words))
    if word not in words:
        raise source.fault(node.position, f"{name} cannot be {word!r}", did_you_mean(word, words))
    return str(word)


def read_length(node: Node, source: Source, name: str) -> Length:
    """A length above 0; a bare whole number means epochs."""
    return Length(*_time(node, source, name))


def _read_moment(node: Node, source: Source, name: str) -> Moment:
    return Moment(*_time(node, source, name))


def _time(node: Node, source: Source, name: str) -> tuple[float, Any]:
    if not isinstance(node, Number):
        raise _mismatch(node, source, name, "a length such as 30ep, 500it or 5%")
    value = _finite(node, source, name)
    if value <= 0:
        raise source.fault(node.position, f"{name} must be above 0")
    if node.unit == "" and value < 1:
        raise source.fault(
            node.position,
            f"{name}={node.text} has no unit",
            f"did you mean {100 * value:.12g}%?",
        )
    if node.unit == "" and not value.is_integer():
        raise source.fault(
            node.position, f"{name}={node.text} has no unit", f"did you mean {node.text}ep?"
        )
    return value, node.unit or "ep"


def _read_level(node: Node, source: Source, name: str) -> Level:
    if not isinstance(node, Number) or node.unit not in ("", "%"):
        raise _mismatch(node, source, name, "a learning rate such as 1e-5, or 1% of the base")
    value = _finite(node, source, name)
    if value < 0:
        raise source.fault(node.position, f"{name} must not be negative")
    return Level(value, node.unit == "%")


def _read_number(node: Node, source: Source, name: str) -> float:
    if not isinstance(node, Number) or node.unit:
        raise _mismatch(node, source, name, "a plain number")
    return _finite(node, source, name)


def _read_whole(node: Node, source: Source, name: str) -> int:
    value = _read_number(node, source, name)
    if not value.is_integer():
        raise _mismatch(node, source, name, "a whole number")
    return int(value)


def _read_flag(node: Node, source: Source, name: str) -> bool:
    if not isinstance(node, Name) or node.name not in ("True", "False"):
        raise _mismatch(node, source, name, "True or False")
    return node.name == "True"


def _read_text(node: Node, source: Source, name: str) -> str:
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Name):
        return node.name
    raise _mismatch(node, source, name, "a text in quotes")


def _read_formula(node: Node, source: Source, name: str) -> Formula:
    if isinstance(node, Number) and not node.unit:
        return Formula(node.text)
    if not isinstance(node, Text):
        raise _mismatch(node, source, name, 'an expression in quotes, such as "0.95**epoch"')
    text = node.value.strip()
    if found := LAMBDA.match(text):  # as pasted: the argument of torch's function is the count
        text = re.sub(rf"\b{found[1]}\b", "epoch", text[found.end() :])
    formula = Formula(text)
    compiled(formula.text)
    return formula


_SCALARS: dict[Any, Callable[[Node, Source, str], Any]] = {
    Length: read_length,
    Moment: _read_moment,
    Level: _read_level,
    Formula: _read_formula,
    float: _read_number,
    int: _read_whole,
    bool: _read_flag,
    str: _read_text,
}


def _finite(node: Number, source: Source, name: str) -> float:
    if not math.isfinite(node.value):
        raise source.fault(node.position, f"{name} must be finite")
    return node.value


def _mismatch(node: Node, source: Source, name: str, expected: str) -> UsageError:
    shown = {Items: "a list", Plus: "a schedule", Apply: "a schedule", Times: "a schedule"}
    match node:
        case Number(text=text, unit=unit):
            got = text + unit
        case Name(name=word):
            got = repr(word)
        case Text(value=text):
            got = repr(text)
        case _:
            got = shown[type(node)]
    return source.fault(node.position, f"{name} must be {expected}, not {got}")
