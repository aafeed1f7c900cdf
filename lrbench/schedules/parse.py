"""From the text of a spec to a schedule."""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from lrbench.errors import Notice, Topic, UsageError
from lrbench.registry import did_you_mean
from lrbench.schedules.bound import Schedule
from lrbench.schedules.definitions import SCHEDULES, Definition, Param
from lrbench.schedules.grammar import Node, Source, syntax_tree
from lrbench.schedules.spec import Call, Phases, Spec
from lrbench.schedules.units import Length
from lrbench.schedules.values import generic, read

MAX_PHASES = 10_000
TORCH_PREFIX = re.compile(r"^((torch\.)?optim\.)?lr_scheduler\.")
OPTIMIZER_NAMES = ("optimizer", "opt", "optim", "self.optimizer")
RESERVED = {
    "folder": "folders of images are datasets: give them with --dataset",
    "text": "texts are datasets: give them with --dataset",
    "torchvision": "models of torchvision are given with --model",
}
VERBOSE_ARGUMENT = re.compile(r"[(,]\s*verbose\s*=")
VERBOSE = Notice(Topic.OTHER, "verbose= is dropped: torch has no such argument any more")
COMMON = {"update": Literal["step", "epoch"], "duration": Length, "clock": Literal["run"]}
OF_TORCH = ("last_epoch", "verbose")  # the last positions of torch's classes


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
    shape, sign, lr = text.rpartition("@")
    source = Source(shape if sign else text, _spec)
    spec, at = _spec(syntax_tree(source), source), None
    if sign:
        with suppress(ValueError):
            at = float(lr) if lr.isascii() else None
        if at is None or not 0 < at < math.inf:
            raise UsageError(f"{text}: after @ stands a learning rate, such as cosine @ 0.1")
    return Schedule(spec, (VERBOSE,) if VERBOSE_ARGUMENT.search(text) else (), at)


def _spec(node: Node, source: Source, alone: bool = True) -> Spec:
    """The spec of a part of a text; `alone` where it is no phase among others."""
    if node.kind in ("name", "call"):
        return _call(node, source, alone)
    if node.kind == "product":
        return _product(node, source, alone)
    if node.kind not in ("plus", "times"):
        raise source.fault(node.position, "a schedule was expected here")
    spec = Phases(tuple(_spec(part, source, False) for part in node.parts), node.value)
    if spec.count() > MAX_PHASES:
        raise source.fault(node.position, f"a schedule may have {MAX_PHASES} phases at most")
    for call in dict.fromkeys(spec.calls()[:-1]):
        if call.definition.watches:
            raise source.fault(node.position, f"{call} may only come last")
        if call.length is None:
            key = "" if call.definition.param("length") else "duration="
            begun = f"{str(call)[:-1]}, " if str(call).endswith(")") else f"{call}("
            raise source.fault(
                node.position,
                f"every phase but the last needs a length, and {call} has none",
                f"write {begun}{key}30%)",
            )
    return spec


def _product(node: Node, source: Source, alone: bool) -> Call:
    parts = (_call(part, source, alone) for part in node.parts)
    *factors, last = sorted(parts, key=_spans)
    for factor in (*factors, last):
        if factor.definition.watches or (factor.definition.of_torch and factor is not last):
            raise source.fault(node.position, f"{factor} cannot be a factor")
        if factor is not last and (factor.duration or factor.clock):
            raise source.fault(node.position, "only one factor can have duration= or clock=")
    return replace(last, factors=tuple(factors))


def _spans(factor: Call) -> int:
    """The order of factors, which does not change the product: the last one sets its length."""
    if factor.definition.of_torch or factor.duration or factor.clock:
        return 2
    return int(factor.length is None)


def _call(node: Node, source: Source, alone: bool) -> Call:
    name = TORCH_PREFIX.sub("", node.text)
    definition = _definition(name, node, source)
    types = {**COMMON, **{param.name: param.annotation for param in definition.params}}
    values = {
        key: read(value, types[key], source, key) if key in types else generic(value, source, key)
        for key, value in _by_name(definition, node, source).items()
    }
    if ":" in name:
        common = {key: values.pop(key) for key in COMMON if key in values}
        return Call(name, tuple(sorted(values.items())), **common)
    for param in definition.params:
        if param.required and param.name not in values:
            raise source.fault(node.position, f"{name} needs {param.name}")
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


def _definition(name: str, node: Node, source: Source) -> Definition:
    prefix, colon, _ = name.partition(":")
    if colon and prefix in RESERVED:
        raise source.fault(node.position, f"{name} is no schedule", RESERVED[prefix])
    if colon or name in SCHEDULES:
        return Call(name).definition
    hint = did_you_mean(name, SCHEDULES.names())
    if hint.startswith("known:"):
        hint = "lrbench schedules list names them all"
    raise source.fault(node.position, f"unknown schedule {name!r}", hint)


def _by_name(definition: Definition, node: Node, source: Source) -> dict[str, Node]:
    """The values by the names of their parameters, positions resolved as in Python; code of the
    user's may have parameters of any name, without a position."""
    names, arguments = [param.name for param in definition.params], node.parts
    if definition.of_torch:
        names += OF_TORCH
        arguments = tuple(_without_optimizer(arguments))
    own = ":" in definition.name
    given: dict[str, Node] = {}
    places, named = iter(names), False
    for argument in arguments:
        key = argument.text or next(places, "")
        if not key:
            fault = f"too many values for {definition.name}"
            fault = f"name the arguments of {definition.name}: NAME=VALUE" if own else fault
            raise source.fault(argument.position, fault)
        if named and not argument.text:
            raise source.fault(argument.position, "a value without a name comes after named ones")
        named = bool(argument.text)
        refuses = definition.watches or (key == "duration" and "length" in names)
        if not own and key not in names and (key not in COMMON or refuses):
            fault = f"{definition.name} has no parameter {key!r}"
            raise source.fault(argument.position, fault, did_you_mean(key, [*names, *COMMON]))
        if key in given:
            raise source.fault(argument.position, f"{key} is given twice")
        given[key] = argument.parts[0]
    for key in OF_TORCH if definition.of_torch else ():
        ignored = given.pop(key, None)
        if ignored and key == "last_epoch" and ignored.value != -1:
            fault = "last_epoch restores a state, and a schedule has none"
            raise source.fault(ignored.position, fault)
    return given


def _without_optimizer(arguments: tuple[Node, ...]) -> Iterator[Node]:
    for place, argument in enumerate(arguments):
        (value,) = argument.parts
        optimizer = place == 0 and value.kind == "name" and value.text in OPTIMIZER_NAMES
        if argument.text != "optimizer" and (argument.text or not optimizer):
            yield argument
