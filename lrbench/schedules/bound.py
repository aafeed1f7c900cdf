"""Schedules, and schedules bound to a run and a base LR, which give the LR at any step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

from lrbench.errors import Notice, UsageError
from lrbench.schedules import plugin
from lrbench.schedules.adaptive import Cut, Plateau
from lrbench.schedules.definitions import Definition, keywords
from lrbench.schedules.spec import Call, Spec
from lrbench.schedules.units import Clock, Length, half_up, number_text

MANY_STEPS = 20_000


@dataclass(frozen=True)
class Segment:
    """One phase of a run, at base LR `lr`: `steps` steps from step `start`. `clock` starts there
    too, unless it is the clock of the run. If `held`, the end value is kept after the phase."""

    call: Call
    clock: Clock
    lr: float
    start: int
    steps: int
    held: bool = False

    @property
    def definition(self) -> Definition:
        """The definition to run; loads a plug-in's code."""
        return plugin.load(self.call.name) if self.call.is_plugin else self.call.definition

    @property
    def update(self) -> str:
        return self.call.update or self.definition.update

    @property
    def size(self) -> int:
        """The number of steps between changes of the LR."""
        return self.clock.steps_per_epoch if self.update == "epoch" else 1

    @property
    def end(self) -> int | None:
        """The step of the clock at which the LR stops changing; None unless `held`."""
        if not self.held:
            return None
        end = self.start - self.clock.start + self.steps
        return end - 1 if self.definition.jumps else end

    def factors(self) -> Iterator[Segment]:
        """The factors of a product; each starts with the phase and has its own length."""
        for call in self.call.factors:
            steps = call.length.steps(self.clock) if call.length else self.clock.steps
            yield Segment(call, replace(self.clock, steps=steps), self.lr, self.clock.start, steps)

    def numbers(self) -> dict[str, Any]:
        """The arguments of the call on this clock, by Python name."""
        return self.definition.numbers(dict(self.call.args), self.clock, self.lr)

    def filled(self, function: Callable[..., Any], **numbers: Any) -> partial[Any]:
        """A function of the schedule with all arguments bound except the step."""
        clock = {"T": self.clock.steps, "b": self.lr, "E": self.clock.steps_per_epoch}
        return partial(function, **keywords(function, {**clock, **numbers}))


def segments(calls: Iterable[Call], clock: Clock, lr: float) -> Iterator[Segment]:
    """The phases on the clock, each at least one step long. Lengths are summed, then rounded."""
    found = [call for call in calls if call.length is None or call.length.amount > 0]
    if not found:
        raise UsageError("the schedule is empty: no phase is longer than 0")
    start, exact_end = 0, 0.0
    for index, call in enumerate(found, 1):
        exact_end += call.length.on(clock) if call.length else clock.steps - exact_end
        steps = max(1, half_up(exact_end) - start)
        own = clock if call.clock == "run" else clock.phase(start, steps)
        yield Segment(call, own, lr, start, steps, call.length is not None and index == len(found))
        start += steps


class Track:
    """The LR and momentum of a phase at one base LR, by step of its clock.

    Values change only every `size` steps, up to `end`. The curve is a function of the step or, if
    `counts`, of the number of `scheduler.step()` calls so far.
    """

    def __init__(self, segment: Segment) -> None:
        """Raises UsageError: an argument is invalid on this clock."""
        self.curve, self.moves, self.adaptive = _curves(segment)
        self.size, self.counts, self.base_lr = segment.size, segment.definition.counts, segment.lr
        self.end: Any = math.inf if segment.end is None else segment.end
        self.factors = [*map(Track, segment.factors())]

    def lr(self, step: int) -> float:
        """The LR; infinite if it overflows."""
        step = min(step, self.end)
        try:
            lr = float(self.curve(self._curve_step(step)))
        except OverflowError:
            return math.inf
        for factor in self.factors:
            lr *= factor.lr(step) / self.base_lr
        return lr

    def momentum(self, step: int) -> float | None:
        return self.moves(self._curve_step(min(step, self.end))) if self.moves else None

    def _curve_step(self, step: int) -> int:
        return step // self.size if self.counts else step - step % self.size


def _curves(segment: Segment) -> tuple[Any, Any, Plateau | None]:
    """The functions for LR and momentum (None if not set), and the state of an adaptive schedule.
    Imports torch only for torch's own schedulers."""
    call, definition, clock, lr = segment.call, segment.definition, segment.clock, segment.lr
    if call.is_plugin:
        plugin.check_call(call, clock)
    if definition.counts:
        from lrbench.schedules.torch_run import stepped

        table = stepped(call, clock.counts(segment.update), lr)
        return table.lr, table.momentum, None
    if call.is_plugin:
        return partial(plugin.multiplied, call, clock, lr), None, None
    for name, values in call.args:  # lengths in different units can only be compared on a clock
        for before, after in pairwise(values if isinstance(values, tuple) else ()):
            if isinstance(after, Length) and after.on(clock) <= before.on(clock):
                raise UsageError(f"{name} must increase: {after} is not after {before} in this run")
    numbers = segment.numbers()
    if definition.watches:
        adaptive = definition.function(lr, **numbers)
        return adaptive.lr, None, adaptive
    curve = segment.filled(definition.function, **numbers)
    try:
        curve(0)
    except ValueError as fault:
        raise UsageError(f"{call}: {fault}") from None
    except OverflowError:
        pass  # `lr` reports an infinite LR
    moves = definition.momentum and segment.filled(definition.momentum, **numbers)
    return curve, moves, None


class Bound:
    """A schedule bound to a run. Steps can be evaluated in any order; only `observe` changes it."""

    def __init__(self, calls: Iterable[Call], clock: Clock, lr: float) -> None:
        self.clock, self.segments = clock, list(segments(calls, clock, lr))
        keys = [(one.call, one.clock.steps, one.end) for one in self.segments]
        different = dict(zip(keys, self.segments, strict=True))  # one for 10000*(warmup)
        tracks = {key: Track(one) for key, one in different.items()}
        self._tracks = [tracks[key] for key in keys]
        self._starts = [one.start for one in self.segments]
        self.adaptive = self._tracks[-1].adaptive  # None unless the schedule adapts to a metric

    def lr(self, step: int) -> float:
        """The LR at a step of the run, counted from 0; also defined past the end."""
        index = self._place(step)
        return self._tracks[index].lr(step - self.segments[index].clock.start)

    def momentum(self, step: int) -> float | None:
        """The momentum at a step; None if the optimizer keeps its own."""
        index = self._place(step)
        return self._tracks[index].momentum(step - self.segments[index].clock.start)

    def observe(self, metrics: Mapping[str, float], epoch: int) -> Cut | None:
        """Update with the metrics of an epoch, counted from 0. Returns the old and new LR if the LR
        changes at the start of the next epoch, else None. Epochs that end before the adaptive phase
        begins are ignored. Raises UsageError: the watched metric is missing."""
        step = (epoch + 1) * self.clock.steps_per_epoch - self.segments[-1].clock.start
        return self.adaptive.observe(metrics, step) if self.adaptive and step > 0 else None

    def state(self) -> dict[str, Any]:
        """The observations so far, as JSON; empty unless the schedule is adaptive."""
        return self.adaptive.state() if self.adaptive else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a `state` of the same schedule on the same run."""
        if self.adaptive:
            self.adaptive.restore(state)

    def _place(self, step: int) -> int:
        """The index of the phase that contains a step."""
        if step < 0:
            raise UsageError(f"steps count from 0: there is no step {step}")
        return bisect_right(self._starts, step) - 1


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule. Bind it to a run to get the LR at each step.

    Equal schedules have the same text, and `parse(str(schedule)) == schedule`.

    >>> from lrbench.schedules import parse
    >>> parse("warmup(2it) + linear").table(lr=1.0, steps=6, steps_per_epoch=2)
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """

    spec: Spec
    remarks: tuple[Notice, ...] = field(default=(), compare=False)  # about what parsing dropped
    at: float | None = None  # the base LR named in its text

    def __str__(self) -> str:
        return f"{self.spec} @ {number_text(self.at)}" if self.at else str(self.spec)

    def calls(self) -> tuple[Call, ...]:
        """Its phases in order, with repetitions expanded."""
        return self.spec.calls()

    def all_calls(self) -> tuple[Call, ...]:
        """Its phases, each followed by its factors."""
        return tuple(one for call in self.calls() for one in (call, *call.factors))

    def bind(self, lr: float, steps: int, steps_per_epoch: int) -> Bound:
        """Bind the schedule to a run of `steps` optimizer steps at the base LR `lr`. Raises
        UsageError: a number is invalid, or the schedule does not fit the run."""
        if not 0 < lr < float("inf"):
            raise UsageError(f"the base learning rate must be a finite number above 0, not {lr}")
        return Bound(self.calls(), Clock.of_run(steps, steps_per_epoch), float(lr))

    def table(self, *, lr: float, steps: int, steps_per_epoch: int) -> list[float]:
        """The LR at each step, for the base LR in the text (`cosine @ 0.1`) or else `lr`."""
        bound = self.bind(self.at or lr, steps, steps_per_epoch)
        return [bound.lr(step) for step in range(steps)]

    def peak(self, steps: int, steps_per_epoch: int) -> float:
        """The highest LR divided by the base LR: 1.0, except for schedules with their own scale."""
        return _peak(self, steps, steps_per_epoch)

    @property
    def fixed_lr(self) -> float | None:
        """The LR named in the spec itself, as in `cosine @ 0.1` and `OneCycleLR(max_lr=0.1)`."""
        return self.at or next((lr for call in self.calls() for lr in call.fixed_lrs()), None)

    @property
    def metric(self) -> str | None:
        """The metric that the schedule adapts to, such as `val_loss`."""
        last = self.calls()[-1]
        return last.definition.watches(last.arguments) if last.definition.watches else None

    @property
    def adaptive(self) -> bool:
        """True if the LR depends on how the training goes."""
        return self.metric is not None


@lru_cache(maxsize=4096)
def _peak(schedule: Schedule, steps: int, steps_per_epoch: int) -> float:
    if not any(call.definition.own_scale for call in schedule.all_calls()):
        return 1.0
    bound = schedule.bind(1.0, steps, steps_per_epoch)
    stride = max(1, steps // MANY_STEPS)
    highest = max(bound.lr(step) for step in range(0, steps, stride))
    return highest if highest > 0 else 1.0
