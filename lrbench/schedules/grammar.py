"""The grammar of specs: text in, a tree of plain nodes out, each with its place in the text."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lrbench.errors import UsageError
from lrbench.schedules.expression import Formula, compiled
from lrbench.schedules.units import number_text

MAX_LENGTH = 4000
MAX_DEPTH = 20
UNITS = ("ep", "it", "%")
ARITHMETIC = frozenset("+-*/()")

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<name>[A-Za-z_][\w.]*(?::[A-Za-z_][\w.]*)?)
    | (?P<sign>[-+*/(),=\[\]%])
    )""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True)
class Number:
    value: float
    unit: str
    text: str
    position: int


@dataclass(frozen=True)
class Text:
    value: str
    position: int


@dataclass(frozen=True)
class Name:
    """A bare word: a schedule without arguments, or a word, as the parameter decides."""

    name: str
    position: int


@dataclass(frozen=True)
class Argument:
    key: str
    value: Node
    position: int


@dataclass(frozen=True)
class Apply:
    name: str
    arguments: tuple[Argument, ...]
    position: int


@dataclass(frozen=True)
class Items:
    values: tuple[Node, ...]
    position: int


@dataclass(frozen=True)
class Times:
    count: int
    body: Node
    position: int


@dataclass(frozen=True)
class Plus:
    parts: tuple[Node, ...]
    position: int


Node = Number | Text | Name | Apply | Items | Times | Plus


@dataclass(frozen=True)
class Source:
    """The text that is parsed, to say where in it something is wrong."""

    text: str

    def fault(self, position: int, message: str, hint: str = "") -> UsageError:
        """One line: the text, the column (counted from 1), what is wrong there."""
        start = max(0, position - 40)
        shown = self.text[start : start + 80]
        shown = ("…" if start else "") + shown + ("…" if start + 80 < len(self.text) else "")
        return UsageError(f"schedule {shown!r}, column {position + 1}: {message}", hint=hint)


def syntax_tree(source: Source) -> Node:
    """The tree of a whole spec.

    Raises:
        UsageError: the text is no spec; the message says where.
    """
    if len(source.text) > MAX_LENGTH:
        raise UsageError(f"a schedule may have {MAX_LENGTH} characters, not {len(source.text)}")
    reader = _Reader(source, _tokens(source))
    tree = reader.spec()
    reader.expect("end", "+ or the end")
    return tree


def _tokens(source: Source) -> list[Token]:
    found: list[Token] = []
    position, end = 0, len(source.text.rstrip())
    while position < end:
        if found and found[-1].text == "=" and (end_of_lambda := _lambda(source.text, position)):
            text = source.text[position:end_of_lambda].strip()
            found.append(Token("lambda", text, position))
            position = end_of_lambda
            continue
        match = TOKEN.match(source.text, position)
        if match is None:
            position += len(source.text[position:]) - len(source.text[position:].lstrip())
            raise _odd_character(source, position)
        kind = str(match.lastgroup)
        found.append(Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return [*found, Token("end", "", end)]


def _odd_character(source: Source, position: int) -> UsageError:
    character = source.text[position]
    if character in "\"'":
        return source.fault(position, "this text has no closing quote")
    return source.fault(position, f"unexpected {character!r}")


def _lambda(text: str, position: int) -> int:
    """Where the lambda ends that begins at the position; 0 where none does."""
    if not re.match(r"\s*lambda\s", text[position:]):
        return 0
    depth = 0
    for place in range(position, len(text)):
        character = text[place]
        if depth == 0 and character in ",)]":
            return place
        depth += (character in "([") - (character in ")]")
    return len(text)


class _Reader:
    """Walks over the tokens, one method a rule of the grammar."""

    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.index = 0
        self.depth = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.here
        self.index += 1
        return token

    def accept(self, sign: str) -> bool:
        if self.here.kind == "sign" and self.here.text == sign:
            self.index += 1
            return True
        return False

    def expect(self, sign: str, wanted: str = "") -> None:
        if sign == self.here.kind == "end" or self.accept(sign):
            return
        raise self.unexpected(wanted or repr(sign))

    def unexpected(self, wanted: str) -> UsageError:
        token = self.here
        what = "ends" if token.kind == "end" else f"has {token.text!r}"
        return self.source.fault(token.position, f"the schedule {what} where {wanted} was expected")

    def spec(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.source.fault(self.here.position, "nested too deeply")
        position = self.here.position
        parts = [self.phase()]
        while self.accept("+"):
            parts.append(self.phase())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Plus(tuple(parts), position)

    def phase(self) -> Node:
        if self.here.kind == "number":
            return self.repeat()
        if self.here.kind != "name":
            raise self.unexpected("the name of a schedule")
        return self.call()

    def repeat(self) -> Node:
        token = self.take()
        if not self.accept("*"):
            raise self.source.fault(
                token.position,
                f"{token.text!r} is not a schedule",
                "for a fixed learning rate write constant and give the rate with --lr",
            )
        if not token.text.isdigit() or int(token.text) < 1:
            raise self.source.fault(token.position, "repetitions are a whole number of at least 1")
        self.expect("(")
        body = self.spec()
        self.expect(")")
        return Times(int(token.text), body, token.position)

    def call(self) -> Node:
        token = self.take()
        if not self.accept("("):
            return Name(token.text, token.position)
        arguments = []
        while not self.accept(")"):
            arguments.append(self.argument())
            if not self.accept(","):
                self.expect(")", "',' or ')'")
                break
        return Apply(token.text, tuple(arguments), token.position)

    def argument(self) -> Argument:
        token = self.here
        following = self.tokens[self.index + 1 : self.index + 2]
        key = ""
        if token.kind == "name" and following and following[0].text == "=":
            key = token.text
            self.index += 2
        return Argument(key, self.value(), token.position)

    def value(self) -> Node:
        token = self.here
        if token.kind == "string":
            self.index += 1
            return Text(re.sub(r"\\(.)", r"\1", token.text[1:-1]), token.position)
        if token.kind == "lambda":
            self.index += 1
            return Text(token.text, token.position)
        if self.accept("["):
            return self.items("]", token.position)
        size = self.arithmetic()
        if size > 1:
            return self.calculated(size)
        if token.kind == "number" and self.tokens[self.index + 1].text != "*":
            return self.number()
        if token.kind in ("name", "number"):
            return self.spec()
        if self.accept("("):
            return self.items(")", token.position)
        raise self.unexpected("a value")

    def arithmetic(self) -> int:
        """How many of the next tokens are one arithmetic expression such as `1/3` or `(2*5)`; 0
        where they are something else, such as a list in parentheses."""
        depth = 0
        for size, token in enumerate(self.tokens[self.index :]):
            if depth == 0 and token.text in (",", ")", "]"):
                return size
            if token.kind != "number" and token.text not in ARITHMETIC:
                return 0
            depth += (token.text == "(") - (token.text == ")")
        return 0

    def calculated(self, size: int) -> Node:
        tokens = self.tokens[self.index : self.index + size]
        self.index += size
        first, text = tokens[0].position, self.source.text
        written = text[first : tokens[-1].position + len(tokens[-1].text)]
        compiled(written, names=())
        value = Formula(written).at({})
        if not math.isfinite(value):
            raise self.source.fault(first, f"{written!r} is not a number")
        return Number(value, "", number_text(value), first)

    def items(self, end: str, position: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.source.fault(position, "nested too deeply")
        values = []
        while not self.accept(end):
            values.append(self.value())
            if not self.accept(","):
                self.expect(end, f"',' or {end!r}")
                break
        self.depth -= 1
        return Items(tuple(values), position)

    def number(self) -> Node:
        token, unit = self.take(), ""
        if self.accept("%"):
            unit = "%"
        elif self.here.kind == "name":
            if self.here.text not in UNITS:
                raise self.source.fault(
                    self.here.position,
                    f"unknown unit {self.here.text!r}",
                    f"write {token.text}ep (epochs), {token.text}it (steps) or {token.text}%",
                )
            unit = self.take().text
        return Number(float(token.text), unit, token.text, token.position)
