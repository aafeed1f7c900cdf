"""From the text of a spec to a schedule: tokens, a tree of nodes, and the values of its calls.

spec      phase { "+" phase }
phase     NUMBER "*" "(" spec ")" | NAME [ "(" arguments ")" ]
argument  [ NAME "=" ] value
value     TEXT | lambda | length or number | arithmetic | list | spec
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from lrbench.errors import Notice, Topic, UsageError
from lrbench.registry import did_you_mean
from lrbench.schedules.bound import Schedule
from lrbench.schedules.definitions import SCHEDULES, Definition, Param, flattened
from lrbench.schedules.expression import Formula, compiled
from lrbench.schedules.spec import Call, Phases, Repeat, Spec
from lrbench.schedules.units import Length, Moment, number_text
from lrbench.schedules.values import Node, Source, generic, read

MAX_LENGTH = 4000
MAX_DEPTH = 20
MAX_PHASES = 10_000
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
TORCH_PREFIXES = ("torch.optim.lr_scheduler.", "optim.lr_scheduler.", "lr_scheduler.")
OPTIMIZER_NAMES = ("optimizer", "opt", "optim", "self.optimizer")
RESERVED = {
    "folder": "folders of images are datasets: give them with --dataset",
    "torchvision": "models of torchvision are given with --model",
}
VERBOSE_ARGUMENT = re.compile(r"[(,]\s*verbose\s*=")
VERBOSE = Notice(Topic.OTHER, "verbose= is dropped: torch has no such argument any more")
COMMON = {"update": Literal["step", "epoch"], "duration": Length}


@lru_cache(maxsize=4096)
def parse(text: str) -> Schedule:
    """The schedule that a spec names.

    >>> str(parse("step(size=30, gamma=0.1)"))
    'step(30ep)'

    Raises:
        UsageError: it is no spec; the message says where in it, and what may be meant.
    """
    if not isinstance(text, str):
        raise UsageError(f"a schedule is given as a text, not {text!r}")
    if len(text) > MAX_LENGTH:
        raise UsageError(f"a schedule may have {MAX_LENGTH} characters, not {len(text)}")
    source = Source(text, _spec)
    reader = _Reader(source)
    tree = reader.spec()
    reader.expect("", "+ or the end")
    remarks = (VERBOSE,) if VERBOSE_ARGUMENT.search(text) else ()
    return Schedule(_spec(tree, source), remarks)


def _tokens(source: Source) -> Iterator[Node]:
    text, position, before = source.text, 0, ""
    end = len(text.rstrip())
    while position < end:
        if before == "=" and (end_of_lambda := _lambda(text, position)):
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
    depth = 0
    for place in range(position, len(text)):
        character = text[place]
        if depth == 0 and character in ",)]":
            return place
        depth += (character in "([") - (character in ")]")
    return len(text)


class _Reader:
    """Walks over the tokens, one method a rule of the grammar."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = list(_tokens(source))
        self.index = 0
        self.depth = 0

    @property
    def here(self) -> Node:
        return self.tokens[self.index]

    def take(self) -> Node:
        token = self.here
        self.index += 1
        return token

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

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.source.fault(self.here.position, "nested too deeply")

    def spec(self) -> Node:
        self.deeper()
        position = self.here.position
        parts = [self.phase()]
        while self.accept("+"):
            parts.append(self.phase())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Node("plus", position, parts=tuple(parts))

    def phase(self) -> Node:
        token = self.here
        if token.kind == "number":
            return self.repeat()
        if token.kind != "name":
            raise self.unexpected("the name of a schedule")
        self.index += 1
        if not self.accept("("):
            return Node("name", token.position, token.text)
        arguments = self.listed(")", self.argument)
        return Node("call", token.position, token.text, parts=arguments)

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
        return Node("times", token.position, value=int(token.text), parts=(body,))

    def listed(self, end: str, item: Any) -> tuple[Node, ...]:
        found = []
        while not self.accept(end):
            found.append(item())
            if not self.accept(","):
                self.expect(end, f"',' or {end!r}")
                break
        return tuple(found)

    def argument(self) -> Node:
        token, key = self.here, ""
        if token.kind == "name" and self.tokens[self.index + 1].text == "=":
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

    def items(self, end: str, position: int) -> Node:
        self.deeper()
        values = self.listed(end, self.value)
        self.depth -= 1
        return Node("list", position, parts=values)

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
        return Node("number", token.position, token.text, float(token.text), unit)


def _spec(node: Node, source: Source, alone: bool = True) -> Spec:
    """The spec of a part of a text; `alone` where it is no phase among others."""
    if node.kind in ("name", "call"):
        return _call(node, source, alone)
    if node.kind not in ("plus", "times"):
        raise source.fault(node.position, "a schedule was expected here")
    parts = tuple(_spec(part, source, False) for part in node.parts)
    spec = Phases(parts) if node.kind == "plus" else Repeat(node.value, parts[0])
    if spec.count() > MAX_PHASES:
        raise source.fault(node.position, f"a schedule may have {MAX_PHASES} phases at most")
    for call in dict.fromkeys(spec.calls()[:-1]):
        if call.definition.watches:
            raise source.fault(node.position, f"{call} may only come last")
        if call.length is None:
            key = "" if call.definition.has_length else "duration="
            begun = f"{str(call)[:-1]}, " if str(call).endswith(")") else f"{call}("
            raise source.fault(
                node.position,
                f"every phase but the last needs a length, and {call} has none",
                f"write {begun}{key}30%)",
            )
    return spec


def _call(node: Node, source: Source, alone: bool) -> Call:
    name = _plain_name(node, source)
    if ":" in name:
        return _plugin_call(name, node, source)
    definition = _definition(name, node, source)
    given = _by_name(definition, node, source)
    values = {}
    for key, value in given.items():
        param = definition.param(key)
        values[key] = read(value, param.annotation if param else COMMON[key], source, key)
    for param in definition.params:
        if param.required and param.name not in values:
            raise source.fault(node.position, f"{name} needs {param.name}")
        if param.name in values:
            _check_rising(param.name, values[param.name], param.annotation, given, source)
    keeps_shares = not alone or "duration" in values
    args = tuple(
        (param.name, values[param.name])
        for param in definition.params
        if param.name in values
        and (values[param.name] != param.default or (keeps_shares and _is_share(param)))
    )
    common = {key: values[key] for key in COMMON if key in values and not definition.param(key)}
    if common.get("update") == definition.update:
        del common["update"]
    return Call(name, args, **common)


def _is_share(param: Param) -> bool:
    """Whether its default is a share of the phase, where a written one is a share of the run."""
    defaults = param.default if isinstance(param.default, tuple) else (param.default,)
    return param.name != "length" and any(isinstance(one, Length) for one in defaults)


def _plain_name(node: Node, source: Source) -> str:
    """The name without torch's module, checked for prefixes that mean something else."""
    prefix, colon, _ = node.text.partition(":")
    if colon and prefix in RESERVED:
        raise source.fault(node.position, f"{node.text} is no schedule", RESERVED[prefix])
    start = next((one for one in TORCH_PREFIXES if node.text.startswith(one)), "")
    return node.text.removeprefix(start)


def _definition(name: str, node: Node, source: Source) -> Definition:
    if name in SCHEDULES:
        return SCHEDULES.get(name).make
    hint = did_you_mean(name, SCHEDULES.names())
    if hint.startswith("known:"):
        hint = "lrbench schedules list names them all"
    raise source.fault(node.position, f"unknown schedule {name!r}", hint)


def _by_name(definition: Definition, node: Node, source: Source) -> dict[str, Node]:
    """The values by the names of their parameters, positions resolved as in Python."""
    names = [param.name for param in definition.params]
    given: dict[str, Node] = {}
    places, named = iter(names), False
    arguments = node.parts
    if definition.of_torch:
        arguments = tuple(_of_the_spec(arguments, source))
    for argument in arguments:
        key = argument.text or next(places, "")
        if named and not argument.text:
            raise source.fault(argument.position, "a value without a name comes after named ones")
        named = bool(argument.text)
        if not key:
            raise source.fault(argument.position, f"too many values for {definition.name}")
        refuses = definition.watches or (key == "duration" and definition.has_length)
        if key not in names and (key not in COMMON or refuses):
            fault = f"{definition.name} has no parameter {key!r}"
            raise source.fault(argument.position, fault, did_you_mean(key, [*names, *COMMON]))
        if key in given:
            raise source.fault(argument.position, f"{key} is given twice")
        given[key] = argument.parts[0]
    return given


def _of_the_spec(arguments: tuple[Node, ...], source: Source) -> Iterator[Node]:
    """What pasted code says apart from the optimizer and what changes nothing."""
    for place, argument in enumerate(arguments):
        (value,) = argument.parts
        if argument.text == "last_epoch" and value.value != -1:
            raise source.fault(
                argument.position, "last_epoch restores a state, and a schedule has none"
            )
        if argument.text in ("optimizer", "last_epoch", "verbose"):
            continue
        optimizer = value.kind == "name" and value.text in OPTIMIZER_NAMES
        if place > 0 or argument.text or not optimizer:
            yield argument


def _check_rising(
    name: str, values: Any, annotation: Any, given: dict[str, Node], source: Source
) -> None:
    """Moments of one unit must rise; those of several are compared on the clock of the run."""
    if Moment not in flattened(annotation) or not isinstance(values, tuple):
        return
    where = given[name].position
    if not values:
        raise source.fault(where, f"{name} must name at least one")
    for before, after in pairwise(values):
        if before.unit == after.unit and before.amount >= after.amount:
            raise source.fault(where, f"{name} must rise: {after} comes after {before}")


def _plugin_call(name: str, node: Node, source: Source) -> Call:
    """A call of the user's own function: named, plain values; its code is not loaded yet."""
    values: dict[str, Any] = {}
    for argument in node.parts:
        key, (value,) = argument.text, argument.parts
        if not key:
            raise source.fault(argument.position, f"name the arguments of {name}: NAME=VALUE")
        if key in values:
            raise source.fault(argument.position, f"{key} is given twice")
        common = COMMON.get(key)
        values[key] = read(value, common, source, key) if common else generic(value, source, key)
    common_values = {key: values.pop(key) for key in COMMON if key in values}
    return Call(name, tuple(sorted(values.items())), **common_values)
