"""Parses the text of a spec into a schedule.

spec      [ NAME "=" ] phase { "+" phase }
phase     NUMBER "*" "(" spec ")" | call { "*" call }
call      NAME [ "(" argument { "," argument } ")" ]
argument  [ NAME "=" ] value
value     TEXT | lambda | length or number | arithmetic | list | spec
"""

import math
import re
import types
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from lrbench.errors import Notice, Topic, UsageError
from lrbench.registry import did_you_mean
from lrbench.schedules.bound import Schedule
from lrbench.schedules.definitions import SCHEDULES, Bounds, Definition, Param
from lrbench.schedules.spec import Call, Phases, Spec
from lrbench.schedules.tokens import SCALARS, Token, Tokens, word
from lrbench.schedules.units import Length

MAX_PHASES = 10_000
TORCH_PREFIX = re.compile(r"^((torch\.)?optim\.)?lr_scheduler\.")
OPTIMIZER_NAMES = ("optimizer", "opt", "optim", "self.optimizer")
RESERVED = {
    "folder": "image folders are datasets: use --dataset",
    "text": "texts are datasets: use --dataset",
    "torchvision": "for torchvision models use --model",
}
VERBOSE = Notice(Topic.OTHER, "verbose= is dropped: torch has removed this argument")
COMMON = {"update": Literal["step", "epoch"], "duration": Length, "clock": Literal["run"]}
OF_TORCH = {"last_epoch": Any, "verbose": Any}  # the last arguments of torch's classes


@lru_cache(maxsize=4096)
def parse(text: str) -> Schedule:
    """The schedule that a spec names.

    >>> str(parse("step(size=30, gamma=0.1)"))
    'step(30ep)'

    Raises:
        UsageError: not a valid spec; the message says where, and suggests what was meant.
    """
    if not isinstance(text, str):
        raise UsageError(f"a schedule must be a string, not {text!r}")
    shape, sign, lr = text.rpartition("@")
    parser = _Parser(shape if sign else text)
    if parser.here.kind == "name" and parser.next_is("="):  # pasted: scheduler = StepLR(...)
        parser.index += 2
    spec, at = parser.spec(), None
    if parser.here.kind != "end":
        raise parser.unexpected("+ or the end")
    if sign:
        with suppress(ValueError):
            at = float(lr) if lr.isascii() else None
        if at is None or not 0 < at < math.inf:
            raise UsageError(f"{text!r}: @ is followed by a learning rate, such as cosine @ 0.1")
    return Schedule(spec, (VERBOSE,) if parser.verbose else (), at)


class _Parser(Tokens):
    """One method per rule of the grammar; each takes its tokens and returns what they mean."""

    verbose = False  # whether torch's verbose= was given

    def spec(self, alone: bool = True) -> Spec:
        """`alone` is False for a phase among others."""
        start, parts = self.here, [self.phase()]
        while self.accept("+"):
            parts.append(self.phase())
        if len(parts) == 1:
            return _canonical(parts[0], alone)
        return self.in_sequence(start, Phases(tuple(_canonical(part, False) for part in parts)))

    def phase(self) -> Spec:
        start = self.here
        if start.kind == "number":
            return self.repeated()
        calls = [self.call()]
        while self.accept("*"):
            calls.append(self.call())
        return calls[0] if len(calls) == 1 else self.product(start, calls)

    def repeated(self) -> Spec:
        token = self.take()
        if not self.accept("*"):
            hint = "for a fixed learning rate write constant and give the rate with --lr"
            raise self.fault(token, f"{token.text!r} is not a schedule", hint)
        if not token.text.isdigit() or int(token.text) < 1:
            raise self.fault(token, "repetitions must be a whole number of at least 1")
        self.expect("(")
        inner = self.spec(alone=False)
        self.expect(")")
        return self.in_sequence(token, Phases((inner,), int(token.text)))

    def in_sequence(self, start: Token, spec: Phases) -> Phases:
        """The phases, checked: all but the last need a length and must not be adaptive."""
        if spec.count() > MAX_PHASES:
            raise self.fault(start, f"a schedule has at most {MAX_PHASES} phases")
        for call in dict.fromkeys(spec.calls()[:-1]):
            if call.definition.watches:
                raise self.fault(start, f"{call} may only come last")
            if call.length is None:
                key = "" if call.definition.param("length") else "duration="
                begun = f"{str(call)[:-1]}, " if str(call).endswith(")") else f"{call}("
                fault = f"every phase but the last needs a length, and {call} has none"
                raise self.fault(start, fault, f"write {begun}{key}30%)")
        return spec

    def product(self, start: Token, calls: list[Call]) -> Call:
        *factors, last = sorted(calls, key=_spans)
        for factor in (*factors, last):
            if factor.definition.watches or (factor.definition.of_torch and factor is not last):
                raise self.fault(start, f"{factor} cannot be a factor")
            if factor is not last and (factor.duration or factor.clock):
                raise self.fault(start, "only one factor can have duration= or clock=")
        return replace(last, factors=tuple(factors))

    def call(self) -> Call:
        if self.here.kind != "name":
            raise self.unexpected("the name of a schedule")
        token = self.take()
        name = TORCH_PREFIX.sub("", token.text)
        definition = self.definition(token, name)
        values = self.arguments(definition) if self.accept("(") else {}
        common = {key: values.pop(key) for key in _common(definition) if key in values}
        if ":" in name:
            return Call(name, tuple(sorted(values.items())), **common)
        for param in definition.params:
            if param.required and param.name not in values:
                raise self.fault(token, f"{name} needs {param.name}")
        if common.get("update") == definition.update:
            del common["update"]
        names = (param.name for param in definition.params if param.name in values)
        return Call(name, tuple((key, values[key]) for key in names), **common)

    def definition(self, token: Token, name: str) -> Definition:
        prefix, colon, _ = name.partition(":")
        if colon and prefix in RESERVED:
            raise self.fault(token, f"{name} is not a schedule", RESERVED[prefix])
        if colon or name in SCHEDULES:
            return Call(name).definition
        hint = did_you_mean(name, SCHEDULES.names())
        if hint.startswith("known:"):
            hint = "lrbench schedules list names them all"
        raise self.fault(token, f"unknown schedule {name!r}", hint)

    def arguments(self, definition: Definition) -> dict[str, Any]:
        """The arguments by parameter name, with positions resolved as in Python. The user's own
        code takes arguments of any name, but only by name."""
        of_torch, own = definition.of_torch, ":" in definition.name
        kinds = {param.name: param.annotation for param in definition.params}
        kinds |= OF_TORCH if of_torch else {}
        places = iter(tuple(kinds))
        kinds |= _common(definition) | ({"optimizer": Any} if of_torch else {})
        given: dict[str, Any] = {}
        for token in self.items(")"):
            if of_torch and not given and token.text in OPTIMIZER_NAMES and self.next_is(",", ")"):
                self.take()
                continue
            if token.kind == "name" and self.next_is("="):
                key, places = self.take().text, iter(())  # no positions after a name
                self.take()
            elif not (key := next(places, "")):
                fault = f"{definition.name} needs a name for this value"
                raise self.fault(token, fault, "write NAME=VALUE")
            if not own and key not in kinds:
                hint = did_you_mean(key, kinds)
                raise self.fault(token, f"{definition.name} has no parameter {key!r}", hint)
            if key in given:
                raise self.fault(token, f"{key} is given twice")
            given[key] = self.value(kinds.get(key, Any), key)
            if of_torch and key == "last_epoch" and given[key] != -1:
                raise self.fault(token, "last_epoch restores a state, and a schedule has none")
            self.verbose |= of_torch and key == "verbose"
        return given

    def value(self, annotation: Any, name: str) -> Any:
        """Read the next tokens as the value of a parameter with this type."""
        start, origin, arguments = self.here, get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):  # a type, a list of it, and None
            if start.text == "None":
                self.take()
                return None
            kinds = [one for one in arguments if one is not type(None)]
            listed = [one for one in kinds if get_origin(one) is tuple and self.begins_list()]
            return self.value((listed or kinds)[0], name)
        if origin is Annotated:
            written = next((mark for mark in arguments[1:] if mark in SCALARS), arguments[0])
            value = self.value(written, name)
            for limit in arguments[1:]:
                if isinstance(limit, Bounds) and value not in limit:
                    raise self.fault(start, f"{name} must be {limit}")
            return value
        if origin is Literal:
            return word(self, name, arguments)
        if annotation is not Any and (end := self.begins_list()):
            self.take()
            kind = arguments[0] if origin is tuple else annotation
            values = tuple(self.value(kind, name) for _ in self.items(end))
            if origin is not tuple and len(values) != 1:  # torch takes one per parameter group
                raise self.fault(start, f"{name} must be one value, not {len(values)}")
            return values if origin is tuple else values[0]
        if origin is tuple:
            raise self.mismatch(name, "a list such as [30ep, 60ep]")
        if annotation is Call:
            spec = self.spec()
            if not isinstance(spec, Call):
                raise self.fault(start, f"each of the {name} must be a single scheduler")
            return spec
        return SCALARS[annotation](self, name)


def _common(definition: Definition) -> dict[str, Any]:
    """The common parameters that a schedule takes, with their types."""
    if definition.watches:
        return {}
    refused = [param.name for param in definition.params]
    refused += ["duration"] if "length" in refused else []
    return {key: kind for key, kind in COMMON.items() if key not in refused}


def _spans(factor: Call) -> int:
    """Sort key of factors: the last one sets the length. The product is the same in any order."""
    if factor.definition.of_torch or factor.duration or factor.clock:
        return 2
    return int(factor.length is None)


def _canonical(spec: Spec, alone: bool) -> Spec:
    """The spec without the arguments that equal their defaults."""
    if isinstance(spec, Phases) or spec.is_plugin:
        return spec
    keeps_shares = not alone or spec.duration is not None
    params = {param.name: param for param in spec.definition.params}
    args = tuple(
        (name, value)
        for name, value in spec.args
        if value != params[name].default or (keeps_shares and _is_share(params[name]))
    )
    factors: Any = tuple(_canonical(factor, alone) for factor in spec.factors)
    return replace(spec, args=args, factors=factors)


def _is_share(param: Param) -> bool:
    """True if the default is a share of the phase; shares written in a spec are of the run."""
    defaults = param.default if isinstance(param.default, tuple) else (param.default,)
    return param.name != "length" and any(isinstance(one, Length) for one in defaults)
