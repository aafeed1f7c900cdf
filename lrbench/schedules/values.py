"""From a node of a spec to a value of the type that its parameter has."""

import math
import re
import types
from collections.abc import Callable, Collection
from functools import partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from lrbench.registry import did_you_mean
from lrbench.schedules.definitions import Bounds
from lrbench.schedules.expression import Formula, compiled
from lrbench.schedules.grammar import Node, Source
from lrbench.schedules.spec import Call
from lrbench.schedules.units import Length, Level, Moment

LAMBDA = re.compile(r"lambda\s+([A-Za-z_]\w*)\s*:\s*", re.ASCII)
OF_MATH = re.compile(r"\b(?:math|np|numpy)\.(?=[a-z])")
CONSTANTS = {"True": True, "False": False, "None": None}


def read(node: Node, annotation: Any, source: Source, name: str) -> Any:
    """The value that a node has for a parameter of that type.

    Raises:
        UsageError: it has none; the message says where, and what was expected.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):  # of one type, a list of it, and None
        if node.kind == "name" and node.text == "None":
            return None
        kinds = [one for one in arguments if one is not type(None)]
        listed = [one for one in kinds if get_origin(one) is tuple and node.kind == "list"]
        return read(node, (listed or kinds)[0], source, name)
    if origin is Annotated:
        written = next((mark for mark in arguments[1:] if mark in _SCALARS), arguments[0])
        value = read(node, written, source, name)
        for limit in arguments[1:]:
            if isinstance(limit, Bounds) and value not in limit:
                raise source.fault(node.position, f"{name} must be {limit}")
        return value
    if origin is tuple:
        if node.kind != "list":
            raise source.mismatch(node, name, "a list such as [30ep, 60ep]")
        return tuple(read(item, arguments[0], source, name) for item in node.parts)
    if origin is Literal:
        return _word(node, arguments, source, name)
    if node.kind == "list" and len(node.parts) == 1:  # of torch: one value a parameter group
        (node,) = node.parts
    return _SCALARS[annotation](node, source, name)


def generic(node: Node, source: Source, name: str) -> Any:
    """The value of a node where no type is known: an argument of somebody's own function."""
    if node.kind == "list":
        return tuple(generic(part, source, name) for part in node.parts)
    if node.kind == "text":
        return node.text
    if node.kind == "name":
        return CONSTANTS.get(node.text, node.text)
    if node.kind != "number" or node.unit:
        raise source.mismatch(node, name, "a plain number, a text or a list")
    return int(node.text) if node.text.lstrip("-").isdigit() else _number(node, source, name)


def _word(node: Node, words: tuple[str, ...], source: Source, name: str) -> str:
    if node.kind not in ("name", "text"):
        raise source.mismatch(node, name, "one of " + ", ".join(words))
    if node.text not in words:
        hint = did_you_mean(node.text, words)
        raise source.fault(node.position, f"{name} cannot be {node.text!r}", hint)
    return node.text


def _call(node: Node, source: Source, name: str) -> Call:
    spec = source.spec(node, source)
    if not isinstance(spec, Call):
        raise source.fault(node.position, f"{name} takes torch's schedulers, one by one")
    return spec


def _time(node: Node, source: Source, name: str, kind: type[Length] = Length) -> Length:
    """A length above 0; a bare whole number means epochs."""
    value = _number(node, source, name, "a length such as 30ep, 500it or 5%", ("ep", "it", "%"))
    zero_fits = name in ("length", "duration")  # such a phase is left out
    if value < 0 or (value == 0 and not zero_fits):
        least = "at least" if zero_fits else "above"
        raise source.fault(node.position, f"{name} must be {least} 0")
    if not node.unit and not value.is_integer():
        meant = f"{100 * value:.12g}%" if value < 1 else f"{node.text}ep"
        fault = f"{name}={node.text} has no unit"
        raise source.fault(node.position, fault, f"did you mean {meant}?")
    unit: Any = node.unit or "ep"
    return kind(value, unit)


def _level(node: Node, source: Source, name: str) -> Level:
    value = _number(node, source, name, "a learning rate such as 1e-5, or 1% of the base", "%")
    if value < 0:
        raise source.fault(node.position, f"{name} must not be negative")
    return Level(value, node.unit == "%")


def _number(
    node: Node,
    source: Source,
    name: str,
    expected: str = "a plain number",
    units: Collection[str] = (),
) -> float:
    if node.kind != "number" or (node.unit and node.unit not in units):
        raise source.mismatch(node, name, expected)
    if not math.isfinite(node.value):
        raise source.fault(node.position, f"{name} must be finite")
    return float(node.value)


def _whole(node: Node, source: Source, name: str) -> int:
    value = _number(node, source, name)
    if not value.is_integer():
        raise source.mismatch(node, name, "a whole number")
    return int(value)


def _flag(node: Node, source: Source, name: str) -> bool:
    if node.kind != "name" or node.text not in ("True", "False"):
        raise source.mismatch(node, name, "True or False")
    return node.text == "True"


def _text(node: Node, source: Source, name: str) -> str:
    if node.kind not in ("text", "name"):
        raise source.mismatch(node, name, "a text in quotes")
    return node.text


def _formula(node: Node, source: Source, name: str) -> Formula:
    if node.kind == "number" and not node.unit:
        return Formula(node.text)
    if node.kind != "text":
        raise source.mismatch(node, name, 'an expression in quotes, such as "0.95**epoch"')
    text = node.text.strip()
    if found := LAMBDA.match(text):  # as pasted: the argument of torch's function is the count
        text = re.sub(rf"\b{found[1]}\b", "epoch", OF_MATH.sub("", text[found.end() :]))
    compiled(text)
    return Formula(text)


_SCALARS: dict[Any, Callable[[Node, Source, str], Any]] = {
    Length: _time,
    Moment: partial(_time, kind=Moment),
    Level: _level,
    Formula: _formula,
    Call: _call,
    float: _number,
    int: _whole,
    bool: _flag,
    str: _text,
}
