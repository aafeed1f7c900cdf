"""A schedule on the clock of one run, for one base LR: the LR of any step."""

from __future__ import annotations

import inspect
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from lrbench.errors import UsageError
from lrbench.schedules import plugin
from lrbench.schedules.adaptive import Cut, Plateau
from lrbench.schedules.definitions import INPUTS, Definition
from lrbench.schedules.spec import Call
from lrbench.schedules.units import Clock, Moment, half_up

Curve = Callable[[int], float]


@dataclass(frozen=True)
class Segment:
    """A call on its part of the clock; where it is `held`, its end value stays afterwards."""

    call: Call
    clock: Clock
    held: bool = False

    @property
    def definition(self) -> Definition:
        """The definition that is run: a plug-in's code is loaded now."""
        return plugin.load(self.call.name) if ":" in self.call.name else self.call.definition

    @property
    def update(self) -> str:
        return self.call.update or self.definition.update

    def numbers(self, lr: float) -> dict[str, Any]:
        """The arguments of the call on this clock, by their Python names."""
        return self.definition.numbers(dict(self.call.args), self.clock, lr)

    def curve(self, lr: float, numbers: Mapping[str, Any]) -> partial[float]:
        """The function of the schedule with all its arguments but the step."""
        return self._filled(self.definition.function, lr, numbers)

    def momentum(self, numbers: Mapping[str, Any]) -> partial[float | None] | None:
        function = self.definition.momentum
        return None if function is None else self._filled(function, 1.0, numbers)

    def _filled(
        self, function: Callable[..., Any], lr: float, numbers: Mapping[str, Any]
    ) -> partial[Any]:
        known = {"T": self.clock.steps, "b": lr, "E": self.clock.steps_per_epoch, **numbers}
        names = inspect.signature(function).parameters
        return partial(function, **{name: known[name] for name in names if name != INPUTS[0]})


def segments(calls: Iterable[Call], clock: Clock) -> Iterator[Segment]:
    """The phases on the clock: lengths are summed first, then rounded; each has at least a step."""
    found = list(calls)
    start, exact_end = 0, 0.0
    for index, call in enumerate(found, 1):
        length = call.length
        if length is None:
            end = max(start + 1, clock.steps)
        else:
            exact_end += length.on(clock)
            end = max(start + 1, half_up(exact_end))
        held = length is not None and index == len(found)
        yield Segment(call, clock.phase(start, end - start), held)
        start = end


@dataclass(frozen=True)
class Track:
    """One phase of a bound schedule, asked by the step of the phase.

    Its curve is asked at the step that counts: the first of each `size`, at most `end`; where it
    `counts`, by the number of calls of `scheduler.step()` so far.
    """

    start: int
    curve: Curve
    moves: Callable[[int], float | None] | None = None
    adaptive: Plateau | None = None
    size: int = 1
    end: int | None = None
    counts: bool = False

    @staticmethod
    def of(segment: Segment, lr: float) -> Track:
        """Raises UsageError: an argument is invalid on this clock."""
        definition, clock = segment.definition, segment.clock
        size = clock.steps_per_epoch if segment.update == "epoch" else 1
        end = (clock.steps - 1 if definition.jumps else clock.steps) if segment.held else None
        if definition.counts:
            stepped = _stepped(segment, lr)
            return Track(clock.start, stepped.lr, stepped.momentum, None, size, end, counts=True)
        if ":" in segment.call.name:
            name, arguments = segment.call.name, dict(segment.call.args)
            plugin.check_call(name, clock, arguments)
            curve = partial(plugin.multiplied, name=name, clock=clock, lr=lr, arguments=arguments)
            return Track(clock.start, curve, None, None, size, end)
        numbers = segment.numbers(lr)
        _check_rising(segment)
        if definition.watches:
            adaptive = definition.function(lr, **numbers)
            return Track(clock.start, adaptive.lr, None, adaptive)
        filled = segment.curve(lr, numbers)
        try:
            filled(0)
        except ValueError as fault:
            raise UsageError(f"{segment.call}: {fault}") from None
        except OverflowError:
            pass  # an infinite LR, which `lr` reports
        return Track(clock.start, filled, segment.momentum(numbers), None, size, end)

    def lr(self, step: int) -> float:
        """The LR; infinite where it is too large for a float."""
        try:
            return float(self.curve(self._asked(step)))
        except OverflowError:
            return math.inf

    def momentum(self, step: int) -> float | None:
        return None if self.moves is None else self.moves(self._asked(step))

    def _asked(self, step: int) -> int:
        asked = step if self.end is None else min(step, self.end)
        return asked // self.size if self.counts else asked - asked % self.size


def _stepped(segment: Segment, lr: float) -> Any:
    """A scheduler of torch, stepped through the phase; imports torch."""
    from lrbench.schedules.torch_run import from_factory, of_call

    call, counts = segment.call, segment.clock.counts(segment.update)
    if ":" not in call.name:
        return of_call(call, counts, lr)
    arguments = dict(call.args)
    plugin.check_call(call.name, segment.clock, arguments)
    return from_factory(segment.definition.function, lr, counts, arguments)


def _check_rising(segment: Segment) -> None:
    """Moments of several units can be compared only on the clock of a run."""
    lists = ((name, value) for name, value in segment.call.args if isinstance(value, tuple))
    for name, values in lists:
        moments = (value for value in values if isinstance(value, Moment))
        for before, after in pairwise(moments):
            if after.on(segment.clock) <= before.on(segment.clock):
                raise UsageError(f"{name} must rise: {after} is not after {before} in this run")


class Bound:
    """A schedule bound to a run. Any step may be asked, in any order; only a schedule that
    adapts to a metric changes, by `observe`."""

    def __init__(self, calls: Iterable[Call], clock: Clock, lr: float) -> None:
        self._steps_per_epoch = clock.steps_per_epoch
        self._tracks = [Track.of(segment, lr) for segment in segments(calls, clock)]
        self._starts = [track.start for track in self._tracks]

    @property
    def adaptive(self) -> bool:
        """Whether it adapts to a metric."""
        return self._tracks[-1].adaptive is not None

    def lr(self, step: int) -> float:
        """The LR of a step of the run, counted from 0; steps past the end are defined.

        Raises:
            UsageError: the step is negative.
        """
        track = self._track(step)
        return track.lr(step - track.start)

    def momentum(self, step: int) -> float | None:
        """The momentum of a step; None where the optimizer keeps its own."""
        track = self._track(step)
        return track.momentum(step - track.start)

    def observe(self, metrics: Mapping[str, float], epoch: int) -> Cut | None:
        """Take in the metrics of an epoch, counted from 0; the old and the new LR where they
        change it, from the first step of the next epoch on.

        Epochs that end before an adaptive phase begins are not counted.

        Raises:
            UsageError: the metric that the schedule adapts to is not among them.
        """
        track = self._tracks[-1]
        step = (epoch + 1) * self._steps_per_epoch - track.start
        if track.adaptive is None or step <= 0:
            return None
        return track.adaptive.observe(metrics, step)

    def state(self) -> dict[str, Any]:
        """What has been observed, as plain data; empty for a pure function of the step."""
        adaptive = self._tracks[-1].adaptive
        return {} if adaptive is None else adaptive.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of an equal schedule on an equal run."""
        adaptive = self._tracks[-1].adaptive
        if adaptive is not None:
            adaptive.restore(state)

    def _track(self, step: int) -> Track:
        if step < 0:
            raise UsageError(f"steps count from 0: there is no step {step}")
        return self._tracks[bisect_right(self._starts, step) - 1]
