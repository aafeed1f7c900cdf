"""Short trainings at one constant learning rate, from the same weights and on the same batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import Literal

import numpy as np

from lrbench.rangetest.curve import ending, typical_step
from lrbench.rangetest.smooth import Floats
from lrbench.rangetest.sweep import Setup, losses

Outcome = Literal["converges", "bounded", "diverges"]

BLOWN_UP = 4.0
LEARNT = 0.1  # the part of the best fall so far that a training must reach to converge


@dataclass(frozen=True)
class Probe:
    """One constant-LR training: its mean loss over the last quarter of the steps (None when it
    diverged), and how far that lies below the loss of the untouched weights on those batches."""

    lr: float
    seed: int
    steps: int
    loss: float | None
    fall: float | None


@dataclass(frozen=True)
class Prober:
    """Trains at constant learning rates for `steps` steps, each time from a seed's weights."""

    setup: Setup
    steps: int
    untouched: Callable[[int], Floats]

    @staticmethod
    def of(setup: Setup, steps: int) -> Prober:
        @cache
        def untouched(seed: int) -> Floats:
            return np.array(list(losses(setup, seed, repeat(0.0, steps))))

        return Prober(setup, steps, untouched)

    def __call__(self, lr: float, seed: int) -> Probe:
        reference = self.untouched(seed)
        seen: list[float] = []
        for loss in losses(self.setup, seed, repeat(lr, self.steps)):
            seen.append(loss)
            if ending(np.array(seen), BLOWN_UP, typical_step(reference))[0] < len(seen):
                return Probe(lr, seed, len(seen), None, None)
        last = _last_quarter(self.steps)
        final = float(np.mean(seen[last]))
        return Probe(lr, seed, self.steps, final, float(np.mean(reference[last])) - final)

    def start(self, seed: int) -> float:
        """The loss of the untouched weights on the batches on which a probe is judged."""
        return float(np.mean(self.untouched(seed)[_last_quarter(self.steps)]))


def _last_quarter(steps: int) -> slice:
    return slice(steps - max(1, steps // 4), steps)


def outcome(probe: Probe, smaller: Sequence[Probe]) -> Outcome:
    """Whether a training converges, stays bounded without converging, or diverges.

    It converges when the loss falls, and by at least a tenth of what the best smaller learning
    rate reaches: small learning rates fall by little, but nothing below them falls by more.
    """
    if probe.fall is None or probe.loss is None:
        return "diverges"
    best = max((other.fall for other in smaller if other.fall is not None), default=0.0)
    rounding = 1e-6 * abs(probe.loss)
    return "converges" if probe.fall > max(LEARNT * best, rounding) else "bounded"
