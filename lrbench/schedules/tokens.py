"""Splits a spec into tokens and reads their values, for `parse`."""

import math
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from lrbench.errors import UsageError
from lrbench.registry import did_you_mean
from lrbench.schedules.expression import Formula, compiled
from lrbench.schedules.units import Length, Level, number_text

MAX_LENGTH = 4000
MAX_DEPTH = 20
ARITHMETIC = frozenset("+-*/()")
TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<name>[A-Za-z_][\w.]*(?::[A-Za-z_][\w.]*)?)
    | (?P<sign>[-+*/(),=\[\]%])
    )""",
    re.VERBOSE | re.ASCII,
)
LAMBDA = re.compile(r"lambda\s+([A-Za-z_]\w*)\s*:\s*", re.ASCII)
OF_MATH = re.compile(r"\b(?:math|np|numpy)\.(?=[a-z])")
CONSTANTS = {"True": True, "False": False, "None": None}
UNITS = ("ep", "it", "%")


class Token(NamedTuple):
    """A number, text (quoted, or a lambda), name, sign, or the end."""

    kind: str
    text: str
    position: int


class Tokens:
    """A cursor over the tokens of a text."""

    def __init__(self, text: str) -> None:
        """Raises UsageError: the text is too long, too deeply nested, or has an invalid token."""
        self.text, self.index = text, 0
        if len(text) > MAX_LENGTH:
            raise UsageError(f"a schedule has at most {MAX_LENGTH} characters, not {len(text)}")
        for place, _, depth in outside_quotes(text):
            if depth > MAX_DEPTH:
                raise self.fault(place, "nested too deeply")
        self.tokens = list(self._tokens())

    def _tokens(self) -> Iterator[Token]:
        position, end = 0, len(self.text.rstrip())
        while position < end:
            match = TOKEN.match(self.text, position)
            if match is None:
                position += len(self.text[position:]) - len(self.text[position:].lstrip())
                sign = self.text[position]
                quote = "this text has no closing quote" if sign in "\"'" else ""
                hint = "braces stand for several schedules; write one" if sign == "{" else ""
                raise self.fault(position, quote or f"unexpected {sign!r}", hint)
            kind = str(match.lastgroup)
            text, (start, position) = match[kind], match.span(kind)
            if kind == "text":
                text = re.sub(r"\\(.)", r"\1", text[1:-1])
            elif text == "lambda":  # pasted from code: up to the end of the argument
                inside = outside_quotes(self.text, start)
                ends = (place for place, sign, depth in inside if depth == 0 and sign in ",)]")
                kind, position = "text", next(ends, end)
                text = self.text[start:position].strip()
            yield Token(kind, text, start)
        yield Token("end", "", end)

    @property
    def here(self) -> Token:
        return self.tokens[self.index]

    def fault(self, place: int | Token, message: str, hint: str = "") -> UsageError:
        """A one-line error: the text, the column (from 1), and what is wrong there."""
        position = place if isinstance(place, int) else place.position
        start = max(0, position - 40)
        shown = self.text[start : start + 80]
        shown = ("…" if start else "") + shown + ("…" if start + 80 < len(self.text) else "")
        return UsageError(f"schedule {shown!r}, column {position + 1}: {message}", hint=hint)

    def mismatch(self, name: str, expected: str) -> UsageError:
        text = self.here.text
        found = {"[": "a list", "(": "a list", "": "nothing"}.get(text, repr(text))
        return self.fault(self.here, f"{name} must be {expected}, not {found}")

    def unexpected(self, wanted: str) -> UsageError:
        what = "ends" if self.here.kind == "end" else f"has {self.here.text!r}"
        hint = "an expression goes in quotes" if self.here.text in ARITHMETIC - {")"} else ""
        return self.fault(self.here, f"the schedule {what} where {wanted} was expected", hint)

    def next_is(self, *signs: str) -> bool:
        return self.here.kind != "end" and self.tokens[self.index + 1].text in signs

    def take(self) -> Token:
        self.index += 1
        return self.tokens[self.index - 1]

    def accept(self, sign: str) -> bool:
        found = self.here.kind == "sign" and self.here.text == sign
        self.index += found
        return found

    def expect(self, sign: str, wanted: str = "") -> None:
        if not self.accept(sign):
            raise self.unexpected(wanted or repr(sign))

    def items(self, end: str) -> Iterator[Token]:
        """The first token of each item of a list; the caller takes the tokens up to the comma."""
        while not self.accept(end):
            yield self.here
            if not self.accept(","):
                self.expect(end, f"',' or {end!r}")
                return

    def arithmetic(self) -> int:
        """The number of tokens from here that form a calculation such as `1/3` or `(2*5)`; 0 for a
        single number, a list in parentheses, or anything else."""
        depth = 0
        for size, token in enumerate(self.tokens[self.index :]):
            if depth == 0 and token.text in (",", ")", "]"):
                return size if size > 1 else 0
            if token.kind != "number" and token.text not in ARITHMETIC:
                return 0
            depth += (token.text == "(") - (token.text == ")")
        return 0

    def begins_list(self) -> str:
        """The closing bracket of the list that starts here; empty if no list does."""
        if self.here.kind != "sign" or self.arithmetic():
            return ""
        return {"[": "]", "(": ")"}.get(self.here.text, "")


def outside_quotes(text: str, start: int = 0) -> Iterator[tuple[int, str, int]]:
    """The characters of a text that are outside quotes: position, character, and the number of open
    brackets before it."""
    depth, quote = 0, ""
    for place in range(start, len(text)):
        character = text[place]
        if quote or character in "\"'":
            quote = "" if character == quote else quote or character
        else:
            yield place, character, depth
            depth += (character in "([{") - (character in ")]}")


class Number(NamedTuple):
    value: float
    unit: str
    text: str


def number(
    tokens: Tokens, name: str, expected: str = "a plain number", units: Collection[str] = ()
) -> Number:
    """A number, with one of `units` or without, or a calculation."""
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
    """A length above 0, or 0 for a phase; a bare whole number means epochs."""
    token = tokens.here
    value, unit, text = number(tokens, name, "a length such as 30ep, 500it or 5%", UNITS)
    zero_fits = name in ("length", "duration")  # the phase is then left out
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
        raise tokens.mismatch(name, "text in quotes")
    return tokens.take().text


def _formula(tokens: Tokens, name: str) -> Formula:
    if tokens.here.kind == "number":
        return Formula(number(tokens, name).text)
    if tokens.here.kind != "text":
        raise tokens.mismatch(name, 'an expression in quotes, such as "0.95**epoch"')
    text = tokens.take().text.strip()
    if found := LAMBDA.match(text):  # pasted: the argument of torch's function is the count
        text = re.sub(rf"\b{found[1]}\b", "epoch", OF_MATH.sub("", text[found.end() :]))
    compiled(text)
    return Formula(text)


def _generic(tokens: Tokens, name: str) -> Any:
    """An argument of the user's own function, whose type is unknown."""
    if end := tokens.begins_list():
        tokens.take()
        return tuple(_generic(tokens, name) for _ in tokens.items(end))
    if tokens.here.kind == "text":
        return tokens.take().text
    if tokens.here.kind == "name":
        return CONSTANTS.get(tokens.here.text, tokens.take().text)
    value, _, text = number(tokens, name, "a plain number, text or a list")
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
