"""Schedules as values: frozen, hashable, with one canonical text.

A schedule is a tree of calls, repetitions and sums; `calls()` is the flat sequence of phases that
it stands for. It knows nothing of a run until it is bound to one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lrbench.errors import UsageError
from lrbench.schedules.bound import Adaptive, Bound, Track
from lrbench.schedules.definitions import SCHEDULES, Definition, Motion
from lrbench.schedules.units import Clock, Length, half_up, number_text

MANY_STEPS = 20_000


class Schedule(ABC):
    """A learning-rate schedule: LR as a function of the step, once it is bound to a run.

    >>> from lrbench.schedules import parse
    >>> parse("warmup(2it) + linear").table(lr=1.0, steps=6, steps_per_epoch=2)
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """

    @abstractmethod
    def calls(self) -> tuple[Call, ...]:
        """Its phases in order, repetitions written out."""

    @abstractmethod
    def __str__(self) -> str:
        """The canonical text: equal schedules have equal texts, and it parses back."""

    def bind(self, lr: float, steps: int, steps_per_epoch: int) -> Bound:
        """The schedule on a run of `steps` optimizer steps from the base LR `lr`.

        Raises:
            UsageError: the numbers cannot be meant, or the schedule does not fit such a run.
        """
        if not 0 < lr < float("inf"):
            raise UsageError(f"a base learning rate is a finite number above 0, not {lr}")
        return self.on(Clock.of_run(steps, steps_per_epoch), float(lr))

    def on(self, clock: Clock, lr: float) -> Bound:
        """The schedule on a given clock, such as that of a phase."""
        tracks = [segment.track(lr) for segment in segments(self, clock)]
        return Bound(tracks, clock)

    def table(self, *, lr: float, steps: int, steps_per_epoch: int) -> list[float]:
        """The LR of every step of a run."""
        bound = self.bind(lr, steps, steps_per_epoch)
        return [bound.lr(step) for step in range(steps)]

    def peak(self, steps: int, steps_per_epoch: int) -> float:
        """The highest LR over the base LR: 1.0 but for schedules with a scale of their own."""
        return _peak(self, steps, steps_per_epoch)

    @property
    def fixed_lr(self) -> float | None:
        """The LR that the spec itself names, as `OneCycleLR(max_lr=0.1)` does."""
        named = (
            call.definition.fixed(call.arguments) for call in self.calls() if call.definition.fixed
        )
        return next((lr for lr in named if lr is not None), None)

    @property
    def metric(self) -> str | None:
        """The metric that the schedule adapts to, such as `val_loss`."""
        last = self.calls()[-1]
        return last.definition.watches(last.arguments) if last.definition.watches else None

    @property
    def adaptive(self) -> bool:
        """Whether the LR depends on how the training goes."""
        return self.metric is not None


@dataclass(frozen=True)
class Call(Schedule):
    """One schedule by name, with the arguments that differ from its defaults."""

    name: str
    args: tuple[tuple[str, Any], ...] = ()
    update: str | None = None
    duration: Length | None = None

    @property
    def definition(self) -> Definition:
        """What the name stands for; a plug-in's code is not loaded for it."""
        if ":" in self.name:
            return Definition(self.name, lambda *_: None, jumps=True, own_scale=True)
        return SCHEDULES.get(self.name).make

    @property
    def arguments(self) -> dict[str, Any]:
        """All its arguments, defaults filled in, by their names in specs."""
        defaults = {param.name: param.default for param in self.definition.params}
        return {**defaults, **dict(self.args)}

    @property
    def length(self) -> Length | None:
        """How long it lasts; None where it takes what the phases before it leave of the run."""
        if self.definition.has_length:
            found: Length | None = self.arguments["length"]
            return found
        return self.duration

    def calls(self) -> tuple[Call, ...]:
        return (self,)

    def __str__(self) -> str:
        shown = []
        for place, (name, value) in enumerate(self.args):
            param = self.definition.param(name)
            by_place = place == 0 and param is not None and param.positional
            first = bool(self.definition.params) and self.definition.params[0] == param
            key = "" if by_place and first else f"{name}="
            shown.append(key + value_text(value, word=param is not None and is_word(param)))
        if self.duration is not None:
            shown.append(f"duration={self.duration}")
        if self.update is not None:
            shown.append(f"update={self.update}")
        return f"{self.name}({', '.join(shown)})" if shown else self.name


@dataclass(frozen=True)
class Repeat(Schedule):
    """A schedule `count` times over, each time from its start."""

    count: int
    body: Schedule

    def calls(self) -> tuple[Call, ...]:
        return self.body.calls() * self.count

    def __str__(self) -> str:
        return f"{self.count}*({self.body})"


@dataclass(frozen=True)
class Phases(Schedule):
    """Schedules one after the other, each on its own clock and from the base LR again."""

    parts: tuple[Schedule, ...]

    def calls(self) -> tuple[Call, ...]:
        return tuple(call for part in self.parts for call in part.calls())

    def __str__(self) -> str:
        return " + ".join(str(part) for part in self.parts)


@dataclass(frozen=True)
class Segment:
    """A call on its stretch of the clock; where it is `held`, its end value stays afterwards."""

    call: Call
    clock: Clock
    held: bool

    def track(self, lr: float) -> Track:
        """The call's curves for a base LR, in steps of the phase."""
        definition = resolved(self.call)
        update = self.call.update or definition.update
        clock = self.clock.counted(update) if definition.counts else self.clock
        made = definition.make(clock, lr, **_keywords(self.call, definition))
        if isinstance(made, Adaptive):
            return Track(self.clock, Motion(made.lr), made)
        motion = made if isinstance(made, Motion) else Motion(made)
        return Track(self.clock, self._timed(motion, update, definition))

    def _timed(self, motion: Motion, update: str, definition: Definition) -> Motion:
        """The motion asked at the step that counts: the epoch's first, the last before a hold."""
        size = self.clock.steps_per_epoch if update == "epoch" else 1
        end = self.clock.steps - 1 if definition.jumps else self.clock.steps
        if size == 1 and not self.held:
            return motion

        def tick(step: int) -> int:
            asked = min(step, end) if self.held else step
            return asked // size if definition.counts else asked - asked % size

        momentum = motion.momentum
        return Motion(
            lambda step: motion.lr(tick(step)),
            None if momentum is None else lambda step: momentum(tick(step)),
        )


def segments(schedule: Schedule, clock: Clock) -> Iterator[Segment]:
    """The phases on the clock: lengths are summed first, then rounded; each has at least a step."""
    calls = schedule.calls()
    start, exact_end = 0, 0.0
    for index, call in enumerate(calls):
        length = call.length
        if length is None:
            end = max(start + 1, clock.steps)
        else:
            exact_end += length.on(clock)
            end = max(start + 1, half_up(exact_end))
        held = length is not None and index == len(calls) - 1
        yield Segment(call, clock.phase(start, end - start), held)
        start = end


def resolved(call: Call) -> Definition:
    """The definition that is run: a plug-in's code is loaded now."""
    if ":" not in call.name:
        return call.definition
    from lrbench.schedules.plugin import load

    return load(call.name)


def _keywords(call: Call, definition: Definition) -> dict[str, Any]:
    if not definition.params:
        return dict(call.args)
    arguments = call.arguments
    return {param.python: arguments[param.name] for param in definition.params}


def is_word(param: Any) -> bool:
    """Whether its texts print bare: one of a list of words."""
    return "Literal[" in str(param.annotation)


def value_text(value: Any, *, word: bool = False) -> str:
    """A value as specs write it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(value_text(item, word=word) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, str) and not word:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)


@lru_cache(maxsize=4096)
def _peak(schedule: Schedule, steps: int, steps_per_epoch: int) -> float:
    if not any(call.definition.own_scale for call in schedule.calls()):
        return 1.0
    bound = schedule.bind(1.0, steps, steps_per_epoch)
    stride = max(1, steps // MANY_STEPS)
    highest = max(bound.lr(step) for step in range(0, steps, stride))
    return highest if highest > 0 else 1.0
