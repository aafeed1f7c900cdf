"""The grammar of specs: text in, a tree of nodes out.

spec      [ NAME "=" ] phase { "+" phase }
phase     NUMBER "*" "(" spec ")" | call { "*" call }
call      NAME [ "(" arguments ")" ]
argument  [ NAME "=" ] value
value     TEXT | lambda | length or number | arithmetic | list | spec
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lrbench.errors import UsageError
from lrbench.schedules.expression import Formula, compiled
from lrbench.schedules.spec import Spec
from lrbench.schedules.units import number_text

MAX_LENGTH = 4000
MAX_DEPTH = 20
UNITS = ("ep", "it", "%")
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


@dataclass(frozen=True)
class Node:
    """A part of a spec and its place in the text: a token, or a number, text, name, call, argument,
    list, plus, times or product. A bare name is a schedule or a word, as the parameter decides."""

    kind: str
    position: int
    text: str = ""
    value: Any = None
    unit: str = ""
    parts: tuple[Node, ...] = ()

    def __str__(self) -> str:
        shown = {"number": self.text + self.unit, "list": "a list"}
        words = repr(self.text) if self.kind in ("name", "text") else "a schedule"
        return shown.get(self.kind, words)


@dataclass(frozen=True)
class Source:
    """The text that is parsed, to say where something is wrong, and what reads a spec in it."""

    text: str
    spec: Callable[[Node, Source], Spec]

    def fault(self, position: int, message: str, hint: str = "") -> UsageError:
        """One line: the text, the column (counted from 1), what is wrong there."""
        start = max(0, position - 40)
        shown = self.text[start : start + 80]
        shown = ("…" if start else "") + shown + ("…" if start + 80 < len(self.text) else "")
        return UsageError(f"schedule {shown!r}, column {position + 1}: {message}", hint=hint)

    def mismatch(self, node: Node, name: str, expected: str) -> UsageError:
        return self.fault(node.position, f"{name} must be {expected}, not {node}")


def syntax_tree(source: Source) -> Node:
    """The tree of a whole spec; UsageError says where in the text it is none."""
    length = len(source.text)
    if length > MAX_LENGTH:
        raise UsageError(f"a schedule may have {MAX_LENGTH} characters, not {length}")
    for place, _, depth in outside_quotes(source.text):
        if depth > MAX_DEPTH:
            raise source.fault(place, "nested too deeply")
    reader = _Reader(source)
    if reader.here.kind == "name" and reader.next_is("="):  # pasted: scheduler = StepLR(...)
        reader.index += 2
    tree = reader.spec()
    reader.expect("", "+ or the end")
    return tree


def _tokens(source: Source) -> Iterator[Node]:
    text, position, before = source.text, 0, ""
    end = len(text.rstrip())
    while position < end:
        if before in ("=", "(", "[", ",") and (end_of_lambda := _lambda(text, position)):
            yield Node("lambda", position, text[position:end_of_lambda].strip())
            position, before = end_of_lambda, ""
            continue
        match = TOKEN.match(text, position)
        if match is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            quote = text[position] in "\"'"
            fault = "this text has no closing quote" if quote else f"unexpected {text[position]!r}"
            raise source.fault(position, fault)
        kind = str(match.lastgroup)
        before, position = match[kind], match.end()
        yield Node(kind, match.start(kind), before)
    yield Node("end", end)


def _lambda(text: str, position: int) -> int:
    """Where the lambda ends that begins at the position; 0 where none does."""
    if not re.match(r"\s*lambda\s", text[position:]):
        return 0
    found = outside_quotes(text, position)
    ends = (place for place, sign, depth in found if depth == 0 and sign in ",)]")
    return next(ends, len(text))


def outside_quotes(text: str, start: int = 0) -> Iterator[tuple[int, str, int]]:
    """The characters of a text that stand outside quotes: place, character, and how many brackets
    are open before it."""
    depth, quote = 0, ""
    for place in range(start, len(text)):
        character = text[place]
        if quote or character in "\"'":
            quote = "" if character == quote else quote or character
        else:
            yield place, character, depth
            depth += (character in "([{") - (character in ")]}")


class _Reader:
    """Walks over the tokens, one method a rule of the grammar."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = list(_tokens(source))
        self.index = 0

    @property
    def here(self) -> Node:
        return self.tokens[self.index]

    def next_is(self, sign: str) -> bool:
        return self.index + 1 < len(self.tokens) and self.tokens[self.index + 1].text == sign

    def accept(self, sign: str) -> bool:
        found = self.here.kind == "sign" and self.here.text == sign
        self.index += found
        return found

    def expect(self, sign: str, wanted: str = "") -> None:
        """The next token is the sign; nothing for the end."""
        if not (self.accept(sign) or (not sign and self.here.kind == "end")):
            raise self.unexpected(wanted or repr(sign))

    def unexpected(self, wanted: str) -> UsageError:
        token = self.here
        what = "ends" if token.kind == "end" else f"has {token.text!r}"
        return self.source.fault(token.position, f"the schedule {what} where {wanted} was expected")

    def spec(self) -> Node:
        return self.joined("plus", "+", self.phase)

    def phase(self) -> Node:
        if self.here.kind == "number":
            return self.repeat()
        return self.joined("product", "*", self.call)

    def joined(self, kind: str, sign: str, item: Callable[[], Node]) -> Node:
        position, parts = self.here.position, [item()]
        while self.accept(sign):
            parts.append(item())
        return parts[0] if len(parts) == 1 else Node(kind, position, parts=tuple(parts))

    def call(self) -> Node:
        token = self.here
        if token.kind != "name":
            raise self.unexpected("the name of a schedule")
        self.index += 1
        if not self.accept("("):
            return Node("name", token.position, token.text)
        arguments = self.listed(")", self.argument)
        return Node("call", token.position, token.text, parts=arguments)

    def repeat(self) -> Node:
        token = self.here
        self.index += 1
        if not self.accept("*"):
            raise self.source.fault(
                token.position,
                f"{token.text!r} is not a schedule",
                "for a fixed learning rate write constant and give the rate with --lr",
            )
        if not token.text.isdigit() or int(token.text) < 1:
            raise self.source.fault(token.position, "repetitions are a whole number of at least 1")
        self.expect("(")
        parts = (self.spec(),)
        self.expect(")")
        return Node("times", token.position, value=int(token.text), parts=parts)

    def listed(self, end: str, item: Callable[[], Node]) -> tuple[Node, ...]:
        found = []
        while not self.accept(end):
            found.append(item())
            if not self.accept(","):
                self.expect(end, f"',' or {end!r}")
                break
        return tuple(found)

    def argument(self) -> Node:
        token, key = self.here, ""
        if token.kind == "name" and self.next_is("="):
            key = token.text
            self.index += 2
        return Node("argument", token.position, key, parts=(self.value(),))

    def value(self) -> Node:
        token = self.here
        if token.kind in ("text", "lambda"):
            self.index += 1
            plain = token.text
            if token.kind == "text":
                plain = re.sub(r"\\(.)", r"\1", plain[1:-1])
            return Node("text", token.position, plain)
        size = self.arithmetic()
        if size > 1:
            return self.calculated(size)
        if token.kind == "number" and not self.next_is("*"):
            return self.number()
        if token.kind in ("name", "number"):
            return self.spec()
        if not (self.accept("[") or self.accept("(")):
            raise self.unexpected("a value")
        values = self.listed("]" if token.text == "[" else ")", self.value)
        return Node("list", token.position, parts=values)

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
        return Node("number", first, number_text(value), value)

    def number(self) -> Node:
        token = self.here
        self.index += 1
        unit = self.here.text if self.here.kind == "name" or self.here.text == "%" else ""
        if unit and unit not in UNITS:
            raise self.source.fault(
                self.here.position,
                f"unknown unit {unit!r}",
                f"write {token.text}ep (epochs), {token.text}it (steps) or {token.text}%",
            )
        self.index += bool(unit)
        return Node("number", token.position, token.text, float(token.text), unit)
