"""The user's own code as a schedule: `module:attribute` in a spec.

A function `(step, steps, steps_per_epoch, …) -> multiplier` of the base LR is asked at any step.
A function whose first parameter is named `optimizer` makes an `LRScheduler` of any library; the
torch bridge tabulates what it does. Further arguments are given by name in the spec.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from lrbench.errors import UsageError
from lrbench.registry import did_you_mean
from lrbench.schedules.definitions import Curve, Definition, Motion
from lrbench.schedules.units import Clock

CLOCK_NAMES = ("step", "steps", "steps_per_epoch")


@lru_cache(maxsize=256)
def load(name: str) -> Definition:
    """The definition behind `module:attribute`; imports the module. The user's own exceptions
    come out unchanged.

    Raises:
        UsageError: there is no such module, or nothing callable of that name in it.
    """
    function = _attribute(name)
    names = list(inspect.signature(function).parameters)
    if names and names[0] == "optimizer":
        make = partial(_tabulated, name, function)
        return Definition(name, make, update="epoch", counts=True, jumps=True, own_scale=True)
    return Definition(name, partial(_multiplied, name, function, names), jumps=True, own_scale=True)


def _attribute(name: str) -> Callable[..., Any]:
    path, _, attribute = name.partition(":")
    found = _module(name, path)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{name}: {path} has no {attribute!r}", hint=_near(part, found))
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{name} is not a function")
    return found  # type: ignore[no-any-return]


def _module(name: str, path: str) -> Any:
    """The module, from where Python finds it or from the working folder."""
    if "" not in sys.path:
        sys.path.append("")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{path}.".startswith(f"{fault.name}."):
            raise
        raise UsageError(
            f"{name}: there is no module {path!r}",
            hint="it must be importable, or lie in the working folder",
        ) from None
    except SyntaxError as fault:
        raise UsageError(f"{name}: {path} is not Python ({fault})") from None


def _near(part: str, module: Any) -> str:
    public = [known for known in vars(module) if not known.startswith("_")]
    hint = did_you_mean(part, public)
    return hint if hint.startswith("did") else ""


def _multiplied(
    name: str,
    function: Callable[..., float],
    names: list[str],
    clock: Clock,
    lr: float,
    /,
    **arguments: Any,
) -> Curve:
    """The base LR times the user's function; past the end of its phase it stays."""
    last = clock.steps - 1
    passed = {key: 0 for key in CLOCK_NAMES if key in names} if "step" in names else {}
    _check_call(name, function, () if passed else (0, 1, 1), {**passed, **arguments})

    def curve(step: int) -> float:
        known = (min(step, last), clock.steps, clock.steps_per_epoch)
        by_name = {
            key: value for key, value in zip(CLOCK_NAMES, known, strict=True) if key in names
        }
        if "step" in by_name:
            return lr * _number(name, function(**by_name, **arguments))
        return lr * _number(name, function(*known, **arguments))

    return curve


def _check_call(
    name: str, function: Callable[..., Any], values: tuple[Any, ...], arguments: dict[str, Any]
) -> None:
    """Raises UsageError: the function does not take what a schedule is given."""
    try:
        inspect.signature(function).bind(*values, **arguments)
    except TypeError as fault:
        raise UsageError(
            f"--schedule {name}: it cannot be called as a schedule ({fault})",
            hint="a schedule is f(step, steps, steps_per_epoch, ...) or f(optimizer, ...)",
        ) from None


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(
            f"--schedule {name}: it returned {type(value).__name__}, not a number"
        ) from None


def _tabulated(
    name: str, factory: Callable[..., Any], clock: Clock, lr: float, /, **arguments: Any
) -> Motion:
    """What the factory's scheduler does on this clock, one entry a call of its `step()`."""
    _check_call(name, factory, (None,), arguments)
    bridge = importlib.import_module("lrbench.schedules.torch_bridge")
    motion: Motion = bridge.from_factory(factory, lr, clock.steps, arguments)
    return motion
