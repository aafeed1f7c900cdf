"""A spec as tokens, and a place among them: what `parse` and `values` read from."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from lrbench.errors import UsageError

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


class Token(NamedTuple):
    """A number, text (in quotes, or a lambda), name or sign, or the end."""

    kind: str
    text: str
    position: int


class Tokens:
    """Walks over the tokens of a text."""

    def __init__(self, text: str) -> None:
        """Raises UsageError: it is too long, too deep, or no row of tokens."""
        self.text, self.index = text, 0
        if len(text) > MAX_LENGTH:
            raise UsageError(f"a schedule may have {MAX_LENGTH} characters, not {len(text)}")
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
                raise self.fault(position, quote or f"unexpected {sign!r}")
            kind = str(match.lastgroup)
            text, (start, position) = match[kind], match.span(kind)
            if kind == "text":
                text = re.sub(r"\\(.)", r"\1", text[1:-1])
            elif text == "lambda":  # as pasted from code: up to the end of the argument
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
        """One line: the text, the column (counted from 1), what is wrong there."""
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
        return self.fault(self.here, f"the schedule {what} where {wanted} was expected")

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
        """The first token of each item of a list, which the caller takes up to the comma."""
        while not self.accept(end):
            yield self.here
            if not self.accept(","):
                self.expect(end, f"',' or {end!r}")
                return

    def arithmetic(self) -> int:
        """How many tokens from here on are one calculation such as `1/3` or `(2*5)`; 0 where they
        are a single number or something else, such as a list in parentheses."""
        depth = 0
        for size, token in enumerate(self.tokens[self.index :]):
            if depth == 0 and token.text in (",", ")", "]"):
                return size if size > 1 else 0
            if token.kind != "number" and token.text not in ARITHMETIC:
                return 0
            depth += (token.text == "(") - (token.text == ")")
        return 0

    def begins_list(self) -> str:
        """The bracket that ends the list that begins here; nothing where none does."""
        if self.here.kind != "sign" or self.arithmetic():
            return ""
        return {"[": "]", "(": ")"}.get(self.here.text, "")


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
