"""The user's own code as a schedule: `module:attribute` in a spec.

A function `(step, steps, steps_per_epoch, …) -> multiplier` of the base LR can be evaluated at any
step. A function whose first parameter is named `optimizer` makes an `LRScheduler` from any library,
which is stepped once through the run. Further arguments are given by name in the spec.
"""

import inspect
from functools import lru_cache
from typing import Any

from lrbench import plugins
from lrbench.errors import UsageError
from lrbench.schedules.definitions import SCHEDULES, Definition
from lrbench.schedules.spec import Call
from lrbench.schedules.units import Clock

CLOCK = ("step", "steps", "steps_per_epoch")


def load(name: str) -> Definition:
    """The definition behind `module:attribute`; imports the module. The user's own exceptions
    propagate unchanged.

    Raises:
        UsageError: there is no such module, or nothing callable of that name in it.
    """
    if isinstance(found := plugins.load(name), plugins.NotLoaded):
        found()
    return _definition(name)


@lru_cache(maxsize=256)
def _definition(name: str) -> Definition:
    function = plugins.load(name)
    if not callable(function):
        raise UsageError(f"{name} is not a function")
    if entry := next((entry for entry in SCHEDULES if entry.make.function is function), None):
        raise UsageError(
            f"{name} is the registered schedule {entry.name}, which takes other arguments",
            hint="name its module in the entry points of a package, or leave out @register",
        )
    if next(iter(inspect.signature(function).parameters), "") == "optimizer":
        return Definition(
            name, function, update="epoch", jumps=True, own_scale=True, counts=True, of_torch=True
        )
    return Definition(name, function, jumps=True, own_scale=True)


def multiplied(call: Call, clock: Clock, lr: float, step: int) -> float:
    """The base LR times the user's function; past the end of its phase it stays constant."""
    values, by_name = clock_arguments(call, min(step, clock.steps - 1), clock)
    value = load(call.name).function(*values, **by_name, **dict(call.args))
    try:
        return lr * float(value)
    except (TypeError, ValueError):
        raise UsageError(
            f"--schedule {call.name}: it returned {type(value).__name__}, not a number"
        ) from None


def clock_arguments(call: Call, step: Any, clock: Clock) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and keyword arguments of the user's function: by name if it has a parameter
    `step` and needs nothing but clock arguments and those given, otherwise by position."""
    names = inspect.signature(load(call.name).function).parameters
    known = dict(zip(CLOCK, (step, clock.steps, clock.steps_per_epoch), strict=True))
    plain = (one for one in names.values() if one.kind not in plugins.VARIADIC)
    needed = {one.name for one in plain if one.default is one.empty}
    if "step" in names and needed <= {*known, *dict(call.args)}:
        return (), {key: value for key, value in known.items() if key in names}
    return tuple(known.values()), {}


def check_call(call: Call, clock: Clock) -> None:
    """Raises UsageError if the function does not take the arguments of a schedule."""
    definition = load(call.name)
    places, by_name = (("optimizer",), {}) if definition.counts else clock_arguments(call, 0, clock)
    plugins.check_call(
        call.name, definition.function, list(map(str, places)), [*by_name, *dict(call.args)],
        option="--schedule",
        hint="a schedule is f(step, steps, steps_per_epoch, ...) or f(optimizer, ...)",
    )  # fmt: skip
