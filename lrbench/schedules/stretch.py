"""Stretches a schedule to another budget, instead of cutting it off."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lrbench.errors import UsageError
from lrbench.schedules.bound import Schedule
from lrbench.schedules.definitions import Param, Timed, flattened
from lrbench.schedules.expression import CLOCK_NAMES, Formula
from lrbench.schedules.parse import parse
from lrbench.schedules.spec import Phases, Spec
from lrbench.schedules.units import Length, half_up, number_text, tidy

COUNTED = re.compile(rf"\b({'|'.join(name for name in CLOCK_NAMES if name != 'progress')})\b")


def stretched(schedule: Schedule, share: float | None) -> Schedule:
    """The schedule for a run `share` times as long, with the same shape. Lengths in epochs and
    steps scale with the run, rates per epoch inversely; percentages do not change. If `share` is
    None, the schedule is returned unchanged.

    >>> from lrbench.schedules import parse
    >>> str(stretched(parse("warmup(4ep) + exponential(gamma=0.81)"), 0.5))
    'warmup(2ep) + exponential(gamma=0.6561)'

    Raises:
        UsageError: it uses one of torch's classes, whose arguments fit one length of run.
    """
    if share is None:
        return schedule
    return parse(str(replace(schedule, spec=_stretched(schedule.spec, share))))


def _stretched(spec: Spec, share: float) -> Spec:
    if isinstance(spec, Phases):
        return replace(spec, parts=tuple(_stretched(part, share) for part in spec.parts))
    definition = spec.definition
    if definition.of_torch:
        raise UsageError(
            f"--budgets: {spec.name} is written for one length of run",
            hint="use lrbench's own schedules, whose lengths may be percentages",
        )
    given = dict(spec.args)
    args = tuple(
        (param.name, _value(spec.arguments[param.name], param, share))
        for param in definition.params
        if param.name in given or Timed.EPOCHS in _timed(param.annotation)
    )
    duration = spec.duration and _length(spec.duration, share)
    args = args if definition.params else spec.args
    factors: Any = tuple(_stretched(factor, share) for factor in spec.factors)
    return replace(spec, args=args, duration=duration, factors=factors)


def _value(value: Any, param: Param, share: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_value(item, param, share) for item in value)
    if isinstance(value, Length):
        return _length(value, share)
    timed = next(_timed(param.annotation), None)
    if isinstance(value, Formula):
        return _formula(value, timed, share)
    if timed is None or value is None:
        return value
    if timed is Timed.FACTOR:
        return tidy(value ** (1 / share))
    if timed is Timed.RATE:
        return tidy(value / share)
    return max(min(1, value), half_up(value * share))


def _length(length: Length, share: float) -> Length:
    return length if length.unit == "%" else replace(length, amount=tidy(length.amount * share))


def _formula(formula: Formula, timed: Timed | None, share: float) -> Formula:
    """The formula on the time scale of the whole run: `epoch` becomes `(epoch/0.25)`."""
    text = COUNTED.sub(rf"(\1/{number_text(share)})", formula.text)
    return Formula(f"({text})**{number_text(tidy(1 / share))}" if timed else text)


def _timed(annotation: Any) -> Iterator[Timed]:
    """How a parameter depends on time, according to its type; empty for most."""
    return (part for part in flattened(annotation) if isinstance(part, Timed))
