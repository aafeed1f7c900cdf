"""The user's own code as a schedule: `module:attribute` in a spec.

A function `(step, steps, steps_per_epoch, …) -> multiplier` of the base LR is asked at any step.
A function whose first parameter is named `optimizer` makes an `LRScheduler` of any library; the
torch bridge tabulates what it does. Further arguments are given by name in the spec.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from lrbench import plugins
from lrbench.errors import UsageError
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
    function = plugins.load(name)
    if not callable(function):
        raise UsageError(f"{name} is not a function")
    names = list(inspect.signature(function).parameters)
    if names and names[0] == "optimizer":
        make = partial(_tabulated, name, function)
        return Definition(name, make, update="epoch", counts=True, jumps=True, own_scale=True)
    return Definition(name, partial(_multiplied, name, function, names), jumps=True, own_scale=True)


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
