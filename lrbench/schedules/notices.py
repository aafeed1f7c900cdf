"""What is wrong with a schedule on a run, said before the training starts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from lrbench.errors import Notice, Topic, UsageError
from lrbench.schedules.bound import segments
from lrbench.schedules.schedule import Schedule
from lrbench.schedules.units import Clock

LOW_END = 0.1  # of the peak: where a schedule that decays is taken to be done
NEAR_PEAK = 0.95


def check(schedule: Schedule, lr: float, steps: int, steps_per_epoch: int) -> list[Notice]:
    """The notices about a schedule on a run.

    Raises:
        UsageError: an LR of the run would be negative, infinite or not a number; the message
            names the first such step.
    """
    table = schedule.table(lr=lr, steps=steps, steps_per_epoch=steps_per_epoch)
    _check_finite(schedule, table, steps_per_epoch)
    clock = Clock.of_run(steps, steps_per_epoch)
    notices = list(_of_phases(schedule, clock, lr))
    if not notices:
        end = schedule.bind(lr, steps, steps_per_epoch).lr(steps)
        notices += _of_the_end(schedule, table, end, lr)
    return list(dict.fromkeys([*schedule.remarks, *notices]))


def early_stop_notices(schedules: Sequence[Schedule]) -> Iterator[Notice]:
    """Which schedules an early stop may cut off before they have decayed."""
    names = [str(one) for one in schedules if any(c.definition.decays for c in one.calls())]
    if names:
        yield Notice(
            Topic.EARLY_STOP,
            f"--early-stop may end {', '.join(names)} before the decay is done, which is where "
            "they gain most",
            "raise its patience, or stop constant and plateau schedules alone",
        )


def _check_finite(schedule: Schedule, table: Sequence[float], steps_per_epoch: int) -> None:
    for step, lr in enumerate(table):
        if math.isfinite(lr) and lr >= 0:
            continue
        fault = "negative" if lr < 0 else "infinite" if math.isinf(lr) else "not a number"
        raise UsageError(
            f"{schedule}: the learning rate is {fault} ({lr:g}) at step {step} "
            f"(epoch {step / steps_per_epoch:.4g})"
        )


def _of_phases(schedule: Schedule, clock: Clock, lr: float) -> Iterator[Notice]:
    """The notices of each phase's own rules."""
    for segment in segments(schedule.calls(), clock):
        call = segment.call
        for rule in segment.definition.notices:
            yield from rule(call, segment.clock, segment.numbers(lr))
        if segment.clock.start >= clock.run_steps > 1:
            yield Notice(
                Topic.UNFINISHED_DECAY,
                f"{call} never starts: the phases before it fill the run",
                "shorten them, or give their lengths as shares of the run, such as 5%",
            )


def _of_the_end(
    schedule: Schedule, table: Sequence[float], end: float, lr: float
) -> Iterator[Notice]:
    """How high a schedule ends that is meant to end low. `end` is where its curve leads: it is
    what counts for a smooth one, whose last step in a short run lies well above it."""
    definition = schedule.calls()[-1].definition
    peak = max(table)
    last = table[-1] if definition.jumps else min(table[-1], end)
    if len(table) < 2:
        return
    if last >= NEAR_PEAK * peak and min(table[table.index(peak) :]) < peak / 2:
        yield Notice(
            Topic.ENDS_AT_MAXIMUM,
            f"{schedule} ends at its maximum ({last:g})",
            "make its period fit the run, or use cosine",
        )
    elif definition.decays and last > LOW_END * peak and not _asked_for(schedule, last, lr):
        yield Notice(
            Topic.UNFINISHED_DECAY,
            f"{schedule} ends at {100 * last / peak:.0f} % of its peak",
            "decay faster, train longer, or use linear or cosine, which end with the run",
        )


def _asked_for(schedule: Schedule, last: float, lr: float) -> bool:
    """Whether the spec itself names an end that is so high, as `cosine(min=20%)` does."""
    arguments = schedule.calls()[-1].arguments
    floors = [arguments[name].of(lr) for name in ("min", "to") if name in arguments]
    return any(floor > LOW_END * lr and last <= 1.25 * floor for floor in floors)
