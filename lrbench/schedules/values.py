"""From the tokens of an argument to a value of the type that its parameter has."""

import math
import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from lrbench.registry import did_you_mean
from lrbench.schedules.expression import Formula, compiled
from lrbench.schedules.tokens import Tokens
from lrbench.schedules.units import Length, Level, number_text

LAMBDA = re.compile(r"lambda\s+([A-Za-z_]\w*)\s*:\s*", re.ASCII)
OF_MATH = re.compile(r"\b(?:math|np|numpy)\.(?=[a-z])")
CONSTANTS = {"True": True, "False": False, "None": None}
UNITS = ("ep", "it", "%")


class Number(NamedTuple):
    value: float
    unit: str
    text: str


def number(
    tokens: Tokens, name: str, expected: str = "a plain number", units: Collection[str] = ()
) -> Number:
    """A number with one of the units or none, or a calculation."""
    if size := tokens.arithmetic():
        return _calculated(tokens, size)
    if tokens.here.kind != "number":
        raise tokens.mismatch(name, expected)
    token, unit = tokens.take(), ""
    if tokens.here.kind == "name" or tokens.here.text == "%":
        unit = tokens.here.text
    if unit and unit not in UNITS:
        hint = f"write {token.text}ep (epochs), {token.text}it (steps) or {token.text}%"
        raise tokens.fault(tokens.here, f"unknown unit {unit!r}", hint)
    if unit and unit not in units:
        raise tokens.fault(token, f"{name} must be {expected}, not {token.text}{unit}")
    if not math.isfinite(float(token.text)):
        raise tokens.fault(token, f"{name} must be finite")
    tokens.index += bool(unit)
    return Number(float(token.text), unit, token.text)


def _calculated(tokens: Tokens, size: int) -> Number:
    first, *_, last = tokens.tokens[tokens.index : tokens.index + size]
    text = tokens.text[first.position : last.position + len(last.text)]
    compiled(text, names=())
    value = Formula(text).at({})
    if not math.isfinite(value):
        raise tokens.fault(first, f"{text!r} is not a number")
    tokens.index += size
    return Number(value, "", number_text(value))


def word(tokens: Tokens, name: str, words: tuple[str, ...]) -> str:
    if tokens.here.kind not in ("name", "text"):
        raise tokens.mismatch(name, "one of " + ", ".join(words))
    token = tokens.take()
    if token.text not in words:
        hint = did_you_mean(token.text, words)
        raise tokens.fault(token, f"{name} cannot be {token.text!r}", hint)
    return token.text


def _time(tokens: Tokens, name: str) -> Length:
    """A length above 0; a bare whole number means epochs."""
    token = tokens.here
    value, unit, text = number(tokens, name, "a length such as 30ep, 500it or 5%", UNITS)
    zero_fits = name in ("length", "duration")  # such a phase is left out
    if value < 0 or (value == 0 and not zero_fits):
        raise tokens.fault(token, f"{name} must be {'at least' if zero_fits else 'above'} 0")
    if not unit and not value.is_integer():
        meant = f"{100 * value:.12g}%" if value < 1 else f"{text}ep"
        raise tokens.fault(token, f"{name}={text} has no unit", f"did you mean {meant}?")
    known: Any = unit or "ep"
    return Length(value, known)


def _level(tokens: Tokens, name: str) -> Level:
    token, expected = tokens.here, "a learning rate such as 1e-5, or 1% of the base"
    value, unit, _ = number(tokens, name, expected, "%")
    if value < 0:
        raise tokens.fault(token, f"{name} must not be negative")
    return Level(value, unit == "%")


def _whole(tokens: Tokens, name: str) -> int:
    token = tokens.here
    value, _, text = number(tokens, name)
    if not value.is_integer():
        raise tokens.fault(token, f"{name} must be a whole number, not {text}")
    return int(value)


def _text(tokens: Tokens, name: str) -> str:
    if tokens.here.kind not in ("text", "name"):
        raise tokens.mismatch(name, "a text in quotes")
    return tokens.take().text


def _formula(tokens: Tokens, name: str) -> Formula:
    if tokens.here.kind == "number":
        return Formula(number(tokens, name).text)
    if tokens.here.kind != "text":
        raise tokens.mismatch(name, 'an expression in quotes, such as "0.95**epoch"')
    text = tokens.take().text.strip()
    if found := LAMBDA.match(text):  # as pasted: the argument of torch's function is the count
        text = re.sub(rf"\b{found[1]}\b", "epoch", OF_MATH.sub("", text[found.end() :]))
    compiled(text)
    return Formula(text)


def _generic(tokens: Tokens, name: str) -> Any:
    """An argument of somebody's own function, whose type is not known."""
    if end := tokens.begins_list():
        tokens.take()
        return tuple(_generic(tokens, name) for _ in tokens.items(end))
    if tokens.here.kind == "text":
        return tokens.take().text
    if tokens.here.kind == "name":
        return CONSTANTS.get(tokens.here.text, tokens.take().text)
    value, _, text = number(tokens, name, "a plain number, a text or a list")
    return int(text) if text.lstrip("-").isdigit() else value


SCALARS: dict[Any, Callable[[Tokens, str], Any]] = {
    Length: _time,
    Level: _level,
    Formula: _formula,
    float: lambda tokens, name: number(tokens, name).value,
    int: _whole,
    bool: lambda tokens, name: word(tokens, name, ("True", "False")) == "True",
    str: _text,
    Any: _generic,
}
