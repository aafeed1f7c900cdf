"""From the text of a spec to a schedule."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

from lrbench.errors import Notice, Topic, UsageError
from lrbench.registry import did_you_mean
from lrbench.schedules import readers
from lrbench.schedules.definitions import SCHEDULES, Definition, Param, flattened
from lrbench.schedules.grammar import (
    Apply,
    Argument,
    Name,
    Node,
    Number,
    Plus,
    Source,
    Times,
    syntax_tree,
)
from lrbench.schedules.schedule import Schedule
from lrbench.schedules.spec import Call, Phases, Repeat, Spec
from lrbench.schedules.units import Length, Moment

MAX_PHASES = 10_000
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
    source = Source(text)
    tree = syntax_tree(source)
    remarks = (VERBOSE,) if VERBOSE_ARGUMENT.search(text) else ()
    return Schedule(build(tree, source), remarks)


def build(node: Node, source: Source, *, alone: bool = True) -> Spec:
    """The spec of a part of a text; `alone` where it is no phase among others."""
    match node:
        case Plus(parts=parts):
            spec: Spec = Phases(tuple(build(part, source, alone=False) for part in parts))
            _check_phases(spec, node, source)
            return spec
        case Times(count=count, body=body):
            spec = Repeat(count, build(body, source, alone=False))
            _check_phases(spec, node, source)
            return spec
        case Name(name=name):
            return _call(Apply(name, (), node.position), source, alone)
        case Apply():
            return _call(node, source, alone)
    raise source.fault(node.position, "a schedule was expected here")


def _check_phases(spec: Spec, node: Node, source: Source) -> None:
    if _count(spec) > MAX_PHASES:
        raise source.fault(node.position, f"a schedule may have {MAX_PHASES} phases at most")
    for call in dict.fromkeys(spec.calls()[:-1]):
        if call.definition.watches:
            raise source.fault(node.position, f"{call} may only come last")
        if call.length is None:
            raise source.fault(
                node.position,
                f"every phase but the last needs a length, and {call} has none",
                f"write {_with_duration(call)}",
            )


def _count(spec: Spec) -> int:
    """The number of phases, without writing them out."""
    match spec:
        case Phases(parts=parts):
            return sum(_count(part) for part in parts)
        case Repeat(count=count, body=body):
            return count * _count(body)
    return 1


def _with_duration(call: Call) -> str:
    key = "" if call.definition.has_length else "duration="
    text = str(call)
    return f"{text[:-1]}, {key}30%)" if text.endswith(")") else f"{text}({key}30%)"


def _call(node: Apply, source: Source, alone: bool) -> Call:
    name = _plain_name(node, source)
    if ":" in name:
        return _plugin_call(name, node, source)
    definition = _definition(name, node, source)
    given = _by_name(definition, node, source)
    values = {
        key: readers.read(argument.value, _type_of(definition, key), source, build, key)
        for key, argument in given.items()
    }
    for param in definition.params:
        if param.required and param.name not in values:
            raise source.fault(node.position, f"{name} needs {param.name}")
        _check_rising(param, values.get(param.name), given, source)
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


def _plain_name(node: Apply, source: Source) -> str:
    """The name without torch's module, checked for prefixes that mean something else."""
    prefix, colon, _ = node.name.partition(":")
    if colon and prefix in RESERVED:
        raise source.fault(node.position, f"{node.name} is no schedule", RESERVED[prefix])
    for start in TORCH_PREFIXES:
        if node.name.startswith(start):
            return node.name.removeprefix(start)
    return node.name


def _definition(name: str, node: Apply, source: Source) -> Definition:
    if name in SCHEDULES:
        return SCHEDULES.get(name).make
    hint = did_you_mean(name, SCHEDULES.names())
    if hint.startswith("known:"):
        hint = "lrbench schedules list names them all"
    raise source.fault(node.position, f"unknown schedule {name!r}", hint)


def _by_name(definition: Definition, node: Apply, source: Source) -> dict[str, Argument]:
    """The arguments by the names of their parameters, positions resolved as in Python."""
    names = [param.name for param in definition.params]
    given: dict[str, Argument] = {}
    places = iter(names)
    arguments = node.arguments
    if definition.of_torch:
        arguments = tuple(_of_the_spec(arguments, source))
    for argument in arguments:
        key = argument.key or next(places, "")
        if not argument.key and any(seen.key for seen in given.values()):
            raise source.fault(argument.position, "a value without a name comes after named ones")
        if not key:
            raise source.fault(argument.position, f"too many values for {definition.name}")
        if key not in names and (key not in COMMON or _refuses(definition, key)):
            fault = f"{definition.name} has no parameter {key!r}"
            raise source.fault(argument.position, fault, did_you_mean(key, [*names, *COMMON]))
        if key in given:
            raise source.fault(argument.position, f"{key} is given twice")
        given[key] = argument
    return given


def _refuses(definition: Definition, key: str) -> bool:
    """What has a length of its own takes no duration; what adapts to a metric takes neither."""
    return definition.watches is not None or (key == "duration" and definition.has_length)


def _of_the_spec(arguments: tuple[Argument, ...], source: Source) -> Iterator[Argument]:
    """What pasted code says apart from the optimizer and what changes nothing."""
    for place, argument in enumerate(arguments):
        value = argument.value
        if argument.key == "last_epoch" and not (isinstance(value, Number) and value.value == -1):
            raise source.fault(
                argument.position, "last_epoch restores a state, and a schedule has none"
            )
        if argument.key in ("optimizer", "last_epoch", "verbose"):
            continue
        if place > 0 or argument.key or not _is_optimizer(value):
            yield argument


def _is_optimizer(node: Node) -> bool:
    return isinstance(node, Name) and node.name in OPTIMIZER_NAMES


def _type_of(definition: Definition, key: str) -> Any:
    param = definition.param(key)
    return COMMON[key] if param is None else param.annotation


def _check_rising(param: Param, value: Any, given: dict[str, Argument], source: Source) -> None:
    """Moments of one unit must rise; those of several are compared on the clock of the run."""
    if value is None or Moment not in flattened(param.annotation) or isinstance(value, Moment):
        return
    where = given[param.name].value.position
    if not value:
        raise source.fault(where, f"{param.name} must name at least one")
    for before, after in itertools.pairwise(value):
        if before.unit == after.unit and before.amount >= after.amount:
            raise source.fault(where, f"{param.name} must rise: {after} comes after {before}")


def _plugin_call(name: str, node: Apply, source: Source) -> Call:
    """A call of the user's own function: named, plain values; its code is not loaded yet."""
    values: dict[str, Any] = {}
    for argument in node.arguments:
        key = argument.key
        if not key:
            raise source.fault(argument.position, f"name the arguments of {name}: NAME=VALUE")
        if key in values:
            raise source.fault(argument.position, f"{key} is given twice")
        if key in COMMON:
            values[key] = readers.read(argument.value, COMMON[key], source, build, key)
        else:
            values[key] = readers.generic(argument.value, source, build, key)
    common = {key: values.pop(key) for key in COMMON if key in values}
    return Call(name, tuple(sorted(values.items())), **common)
