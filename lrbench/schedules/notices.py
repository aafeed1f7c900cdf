"""Checks a schedule against a run before the training starts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lrbench.errors import Notice, Topic, UsageError
from lrbench.schedules.bound import Schedule, Segment
from lrbench.schedules.definitions import Numbers
from lrbench.schedules.spec import Call
from lrbench.schedules.torch_names import nested
from lrbench.schedules.units import Level, number_text, piece

LOW_END = 0.1  # of the peak; a decay that ends below this is complete
NEAR_PEAK = 0.95
BARELY_LOW = 0.01  # of the peak; a decay cut off above this is reported
NEARLY_ZERO = 1e-3  # of the peak
OWN_PEAK = 10.0  # times the base LR; beyond this, the values are probably LRs, not multipliers
UNITS = "check its unit: 10ep, 500it or 50%, and update=step for torch's names"


@dataclass(frozen=True)
class Part:
    """A call and the part of a phase it covers. `counts` are `step()` calls for torch's schedulers,
    otherwise steps."""

    call: Call
    counts: int
    numbers: Numbers
    segment: Segment

    @property
    def lrs(self) -> slice:
        """The slice of the run's table that holds its LRs."""
        size = self.segment.size if self.segment.definition.counts else 1
        end = self.segment.start + self.segment.steps
        return slice(max(self.segment.start, end - self.counts * size), end)

    def time(self, counts: float) -> str:
        """A number of counts as a length in a spec."""
        if self.segment.definition.counts:
            return number_text(counts) + ("ep" if self.segment.update == "epoch" else "it")
        return number_text(round(counts / self.segment.clock.steps_per_epoch, 3)) + "ep"

    @property
    def ends_run(self) -> bool:
        return self.segment.start + self.segment.steps >= self.segment.clock.run_steps > 1

    @property
    def remedy(self) -> str:
        span = self.call.definition.span
        return f"set {span}={self.counts}" if span else ""


def check(schedule: Schedule, lr: float, steps: int, steps_per_epoch: int) -> list[Notice]:
    """The notices about a schedule on a run.

    Raises:
        UsageError: an LR of the run would be negative, infinite or not a number; the message
            names the first such step.
    """
    bound = schedule.bind(lr, steps, steps_per_epoch)
    table = [bound.lr(step) for step in range(steps)]
    for step, own in enumerate(table):
        if not 0 <= own < math.inf:
            fault = "negative" if own < 0 else "infinite" if own > 0 else "not a number"
            where = f"at step {step} (epoch {step / steps_per_epoch:.4g})"
            raise UsageError(f"{schedule}: the learning rate is {fault} ({own:g}) {where}")
    found = bound.segments
    keys = [(one.call, one.steps, one.start + one.steps >= one.clock.run_steps) for one in found]
    different = dict(zip(reversed(keys), reversed(found), strict=True))  # keeps the first of each
    notices = [one for segment in different.values() for one in _of_phase(segment, table)]
    *_, last = _parts(found[-1])
    if not notices and steps > 1:
        notices += _of_the_end(schedule, last, table, bound.lr(steps))
    if not notices:
        notices += _of_the_height(schedule, last, table)
    return list(dict.fromkeys([*schedule.remarks, *notices]))


def early_stop_notices(schedules: Sequence[Schedule]) -> Iterator[Notice]:
    """A notice about schedules that may be stopped early, before they have decayed."""
    names = [str(one) for one in schedules if any(c.definition.decays for c in one.calls())]
    if names:
        what = f"--early-stop may end {', '.join(names)} before the decay is done, which is where "
        remedy = "raise its patience, or stop only constant and plateau schedules"
        yield Notice(Topic.EARLY_STOP, f"{what}they gain most", remedy)


def _parts(segment: Segment) -> Iterator[Part]:
    """The call of a phase and, in torch's composite classes, the calls that last to its end."""
    if not segment.call.definition.counts:
        yield Part(segment.call, segment.clock.steps, segment.numbers(), segment)
        return
    waiting = [(segment.call, segment.clock.counts(segment.update))]
    while waiting:
        call, counts = waiting.pop(0)
        yield Part(call, counts, call.arguments, segment)
        inner = nested(call, counts)
        waiting += inner[-1:] if "milestones" in call.arguments else inner


def _of_phase(segment: Segment, table: Sequence[float]) -> Iterator[Notice]:
    """Notices about a phase that never starts or is too short for its purpose."""
    parts = list(_parts(segment))
    for part in parts:
        if part.counts > 1 and not part.call.is_plugin:
            yield from _of_part(part, table)
    call, clock = segment.call, segment.clock
    epochs = clock.steps // clock.steps_per_epoch
    # one epoch sets the best, patience + 1 are bad, one has the lower LR
    if call.definition.watches and epochs < (needed := parts[-1].numbers["patience"] + 3):
        what = f"{call} cannot cut within {epochs} epochs: it needs {needed}"
        yield Notice(Topic.PLATEAU_CANNOT_FIRE, what, "lower its patience, or train longer")
    if segment.definition.counts:
        yield from _of_a_scheduler(parts[-1])
    if segment.start >= clock.run_steps > 1:
        what = f"{call} never starts: the phases before it fill the run"
        yield Notice(Topic.UNFINISHED_DECAY, what, "shorten them, for example to 5%")


def _of_part(part: Part, table: Sequence[float]) -> Iterator[Notice]:
    """Notices about milestones, cycles, decays and warm-ups that do not fit the part."""
    call, counts, numbers, definition = part.call, part.counts, part.numbers, part.call.definition
    lrs, peak = table[part.lrs], max(table)
    span = numbers.get(definition.span) or 0
    if span > counts and lrs and lrs[-1] > BARELY_LOW * peak:
        what = f"{call} falls for {part.time(span)} but its phase has {part.time(counts)}"
        what = f"{what}, so it ends at {_percent(lrs[-1] / peak)} of its peak"
        yield Notice(Topic.UNFINISHED_DECAY, what, part.remedy)
    written, marks = (known.get("milestones") or () for known in (call.arguments, numbers))
    late = [str(text) for text, mark in zip(written, marks, strict=True) if mark >= counts]
    falls = definition.jumps and definition.decays and part.lrs.stop <= len(table)
    if late or (falls and min(lrs) == max(lrs)):
        what = f"{', '.join(late)} of {call} not reached" if late else f"{call} never falls"
        what = f"{what}: its phase has {part.time(counts)}"
        yield Notice(Topic.MILESTONE_NOT_REACHED, what, part.remedy or UNITS)
    rises = counts if call.name == "warmup" and part.ends_run else numbers.get("warmup", 0)
    if rises >= counts:
        what = f"{call} warms up to its end, so nothing follows"
        yield Notice(Topic.WARMUP_TOO_LONG, what, "warm up over 1-10% of the run, such as 5%")
    if definition.cycle:
        index, start, end = piece(counts - 1, *definition.cycle(counts, numbers))
        if end > counts:
            share = _percent((counts - start) / (end - start))
            what = f"{call} ends inside cycle {index + 1}, after {share} of it"
            fits = " or ".join(part.time(whole) for whole in (start, end) if whole)
            remedy = f"train for {fits}, or change the length of its cycles"
            yield Notice(Topic.ENDS_INSIDE_CYCLE, what, remedy)


def _of_a_scheduler(part: Part) -> Iterator[Notice]:
    """Notices about torch's schedulers that end before the run, and about the user's that end high
    when stepped once per epoch but low when stepped once per batch."""
    from lrbench.schedules.torch_run import stepped

    call, clock, update = part.segment.call, part.segment.clock, part.segment.update
    counts = clock.counts(update)
    table = stepped(call, counts, part.segment.lr)
    if len(table.rows) < counts:
        what = f"{call} ends after {len(table.rows)} of {counts} counts, where torch raises an "
        yield Notice(Topic.OTHER, f"{what}error; here it holds its last LR", part.remedy)
    if call.is_plugin and update == "epoch":
        try:
            rows = stepped(call, clock.steps, part.segment.lr).rows
        except Exception:  # the run itself does not step the user's code this often
            return
        peak = max(row[0] for row in rows)
        share, low = (one / (peak or 1.0) for one in (table.lr(counts - 1), rows[-1][0]))
        if low <= LOW_END < share:
            what = f"{call} is stepped once an epoch and ends at {_percent(share)} of its peak; "
            what += f"stepped once a batch it would end at {_percent(low)}"
            remedy = "choose update=step (once a batch) or update=epoch (once an epoch)"
            yield Notice(Topic.UNFINISHED_DECAY, what, remedy)


def _of_the_height(schedule: Schedule, part: Part, table: Sequence[float]) -> Iterator[Notice]:
    """Notices about LRs near 0 for most of the run, and multipliers that look like LRs."""
    peak, lr = max(table), part.segment.lr
    idle = sum(one < NEARLY_ZERO * peak for one in table) / len(table)
    if idle > 0.5:
        low = f"{schedule} is below {100 * NEARLY_ZERO:g} % of its peak for {_percent(idle)} of "
        remedy = part.remedy or "decay more slowly, or check whether epochs or steps are meant"
        yield Notice(Topic.OTHER, f"{low}the run, which hardly trains", remedy)
    own = [one for one in schedule.calls() if one.definition.own_scale and one.definition.jumps]
    if own and peak > 0 and not 1 / OWN_PEAK <= peak / lr <= OWN_PEAK:
        what = f"{schedule} peaks at {peak / lr:g} times its base LR; the LRs in lrbench compare "
        what += f"are peaks, so its base LR is {lr / peak:g} times the LR given"
        yield Notice(Topic.OTHER, what, "write multipliers of the base LR that peak at 1")


def _of_the_end(
    schedule: Schedule, part: Part, table: Sequence[float], end: float
) -> Iterator[Notice]:
    """Notices about schedules that end high but should end low. `end` is the limit of the curve,
    which counts for smooth curves: in a short run the last step lies well above it."""
    definition = part.call.definition
    peak, last = max(table), table[-1]
    last = last if definition.jumps else min(last, end)
    own = table[part.lrs] or [last]
    high = f"{schedule} ends at {_percent(last / (peak or 1.0))} of its peak"
    remedy = part.remedy or "make it fit the run, or use linear or cosine, which end with it"
    if last >= NEAR_PEAK * peak and _lowest_after_peak(table) < peak / 2:
        yield Notice(Topic.ENDS_AT_MAXIMUM, f"{schedule} ends at its maximum ({last:g})", remedy)
    elif not definition.decays:
        return
    elif definition.counts and last > _lowest_after_peak(own) + 1e-9 * peak:
        yield Notice(Topic.ENDS_INSIDE_CYCLE, f"{high}, after rising again", remedy)
    elif last > LOW_END * peak and not _asked_for(part, last):
        yield Notice(Topic.UNFINISHED_DECAY, high, remedy)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _lowest_after_peak(lrs: Sequence[float]) -> float:
    high = (1 - 1e-9) * max(lrs)  # the same peak, up to rounding
    return min(lrs[next(step for step, lr in enumerate(lrs) if lr >= high) :])


def _asked_for(part: Part, last: float) -> bool:
    """True if the spec itself asks for an end this high, as in `cosine(min=20%)`."""
    known, lr = part.call.arguments, part.segment.lr
    named = [known[name] for name in ("min", "to", "eta_min") if name in known]
    floors = [one.of(lr) if isinstance(one, Level) else one for one in named]
    return any(floor > LOW_END * lr and last <= 1.25 * floor for floor in floors)
