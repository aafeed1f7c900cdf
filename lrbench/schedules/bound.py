"""A schedule on the clock of one run, for one base learning rate: the LR of any step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.errors import UsageError
from lrbench.schedules.definitions import Motion
from lrbench.schedules.units import Clock

Cut = tuple[float, float]


class Adaptive(ABC):
    """A schedule that answers to what it is told at an epoch's end; its state is plain data."""

    @abstractmethod
    def lr(self, step: int) -> float:
        """The LR of a step, as far as it is known from what has been observed."""

    @abstractmethod
    def observe(self, metrics: Mapping[str, float], step: int) -> Cut | None:
        """Take in the metrics of the epoch that ended before `step`; the old and the new LR
        where that changes it, from `step` on."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that `observe` has changed, as JSON."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""


@dataclass(frozen=True)
class Track:
    """One phase of a bound schedule: its clock, and what it moves, in steps of the phase."""

    clock: Clock
    motion: Motion
    adaptive: Adaptive | None = None


class Bound:
    """A schedule bound to a run. Any step may be asked, in any order; only a schedule that
    adapts to a metric changes, by `observe`."""

    def __init__(self, tracks: Sequence[Track], clock: Clock) -> None:
        self._clock = clock
        self._tracks = tuple(tracks)
        self._starts = [track.clock.start - clock.start for track in tracks]

    @property
    def adaptive(self) -> bool:
        """Whether it answers to a metric."""
        return self._tracks[-1].adaptive is not None

    def lr(self, step: int) -> float:
        """The LR of a step of the run, counted from 0; steps past the end are defined.

        Raises:
            UsageError: the step is negative.
        """
        index = self._index(step)
        return _number(self._tracks[index].motion.lr, step - self._starts[index])

    def momentum(self, step: int) -> float | None:
        """The momentum of a step; None where the optimizer keeps its own."""
        index = self._index(step)
        momentum = self._tracks[index].motion.momentum
        return None if momentum is None else _number(momentum, step - self._starts[index])

    def observe(self, metrics: Mapping[str, float], epoch: int) -> Cut | None:
        """Take in the metrics of an epoch, counted from 0; the old and the new LR where they
        change it, from the first step of the next epoch on.

        Epochs that end before an adaptive phase begins are not counted.

        Raises:
            UsageError: the metric that the schedule adapts to is not among them.
        """
        track = self._tracks[-1]
        step = (epoch + 1) * self._clock.steps_per_epoch - self._starts[-1]
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

    def _index(self, step: int) -> int:
        if step < 0:
            raise UsageError(f"steps count from 0: there is no step {step}")
        return bisect_right(self._starts, step) - 1


def _number(curve: Any, step: int) -> float:
    """The curve at a step; what is too large for a float is infinite."""
    try:
        return float(curve(step))
    except OverflowError:
        return math.inf
