"""What does not fit the run in the arguments of torch's schedulers, said before training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lrbench.errors import Notice, Topic
from lrbench.schedules.definitions import Numbers
from lrbench.schedules.units import Clock, number_text, piece

HIGH, LOW = 0.95, 0.1  # of the peak: ends at its maximum, has decayed


def counts(call: Any, clock: Clock) -> tuple[int, str]:
    """How often `scheduler.step()` is called in the phase, and what one call stands for."""
    update = call.update or call.definition.update
    return clock.counts(update), "epochs" if update == "epoch" else "steps"


def one_stair(call: Any, clock: Clock, numbers: Numbers) -> Iterable[Notice]:
    """A StepLR whose first stair is as long as the phase."""
    have, unit = counts(call, clock)
    if (numbers["step_size"] or 0) >= have > 1:
        yield Notice(
            Topic.MILESTONE_NOT_REACHED,
            f"{call} never falls within {have} {unit}",
            f"set step_size={max(1, have // 3)}, or use step for three equal stairs",
        )


def late_milestones(call: Any, clock: Clock, numbers: Numbers) -> Iterable[Notice]:
    """Milestones of MultiStepLR or SequentialLR that lie at or past the end of the phase."""
    have, unit = counts(call, clock)
    late = [str(mark) for mark in numbers["milestones"] or () if mark >= have]
    if late and have > 1:
        yield Notice(
            Topic.MILESTONE_NOT_REACHED,
            f"milestone {', '.join(late)} of {call.name} is not reached within {have} {unit}",
            "check whether it is meant in epochs or in steps (update=step)",
        )


def other_period(call: Any, clock: Clock, numbers: Numbers) -> Iterable[Notice]:
    """A CosineAnnealingLR whose T_max is not the length of its phase: it stops on the way, or
    climbs back. One less is no fault: the last count is then the lowest."""
    have, unit = counts(call, clock)
    half = numbers["T_max"] or have
    if have - 1 <= half <= have or have < 2:
        return
    share = (1 + math.cos(math.pi * (have - 1) / half)) / 2
    remedy = f"set T_max={have} or use cosine"
    if half > have:
        if share > LOW:
            yield Notice(
                Topic.UNFINISHED_DECAY,
                f"{call} ends at {100 * share:.0f} % of its peak after {have} {unit}",
                remedy,
            )
    elif share >= HIGH:
        yield Notice(Topic.ENDS_AT_MAXIMUM, f"{call} ends at its maximum", remedy)
    else:
        yield Notice(
            Topic.ENDS_INSIDE_CYCLE,
            f"{call} climbs again after {number_text(half)} of {have} {unit}, "
            f"and ends at {100 * share:.0f} % of its peak",
            remedy,
        )


def cut_restart(call: Any, clock: Clock, numbers: Numbers) -> Iterable[Notice]:
    """A CosineAnnealingWarmRestarts that the end of the phase cuts short."""
    if numbers["T_0"] is not None:
        yield from _cut(call, clock, numbers["T_0"], numbers["T_mult"])


def cut_cycle(call: Any, clock: Clock, numbers: Numbers) -> Iterable[Notice]:
    """A CyclicLR that the end of the phase cuts short."""
    up, down = numbers["step_size_up"], numbers["step_size_down"]
    yield from _cut(call, clock, up + (up if down is None else down))


def _cut(call: Any, clock: Clock, size: float, growth: float = 1.0) -> Iterable[Notice]:
    have, unit = counts(call, clock)
    index, start, end = piece(have - 1, size, growth)
    if have > 1 and end > have:
        fits = f"{start} {unit} or {end} {unit}" if start else f"{end} {unit}"
        yield Notice(
            Topic.ENDS_INSIDE_CYCLE,
            f"{call} ends inside its cycle {index + 1}, "
            f"after {100 * (have - start) / (end - start):.0f} % of it",
            f"train for {fits}, or change the length of its cycles",
        )


def other_total(call: Any, clock: Clock, numbers: Numbers) -> Iterable[Notice]:
    """A OneCycleLR that is not as long as its phase."""
    have, unit = counts(call, clock)
    steps = numbers["steps_per_epoch"] or 1
    total = numbers["total_steps"] or steps * (numbers["epochs"] or have)
    if numbers["epochs"] is None and numbers["total_steps"] is None:
        return
    if total > have > 1:
        yield Notice(
            Topic.UNFINISHED_DECAY,
            f"{call} is cut short after {have} of {total} {unit}",
            f"set total_steps={have}, or leave it out",
        )
    elif total < have:
        yield Notice(
            Topic.OTHER,
            f"{call} is over after {total} of {have} {unit}, where torch raises a ValueError; "
            "here it holds its last learning rate",
            f"set total_steps={have}, or leave it out",
        )


def nested_notices(call: Any, clock: Clock, numbers: Numbers) -> Iterable[Notice]:
    """What the nested schedulers have to say, each about its share of the phase; in a sequence
    only the last meets the end of the phase."""
    have, _ = counts(call, clock)
    update = call.update or call.definition.update
    schedulers, start = numbers["schedulers"], 0
    if numbers.get("milestones"):
        schedulers, start = schedulers[-1:], numbers["milestones"][-1]
    if start >= have:
        return
    for nested in schedulers:
        own = replace(nested, update=None if nested.definition.update == update else update)
        for rule in own.definition.notices:
            yield from rule(own, Clock(have - start, 1, have, start), own.arguments)
