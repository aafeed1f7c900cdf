"""Short trainings at one constant learning rate, from the same weights and on the same batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import Literal

import numpy as np

from lrbench.rangetest.smooth import Floats
from lrbench.rangetest.sweep import Setup, losses

Outcome = Literal["converges", "bounded", "diverges"]

HOPELESS = 1e6  # times the size of the first losses: no need to train on
GROWTH = 1.2  # of the loss above its start, from one eighth of the steps to the next
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
        hopeless = HOPELESS * max(float(np.ptp(reference)), float(np.abs(reference).max()))
        seen: list[float] = []
        for loss in losses(self.setup, seed, repeat(lr, self.steps)):
            seen.append(loss)
            if not math.isfinite(loss) or loss - reference[0] > hopeless:
                return Probe(lr, seed, len(seen), None, None)
        final = _mean_end(np.array(seen))
        if _grows(np.array(seen), reference):
            return Probe(lr, seed, self.steps, None, None)
        return Probe(lr, seed, self.steps, final, _mean_end(reference) - final)

    def start(self, seed: int) -> float:
        """The loss of the untouched weights on the batches on which a probe is judged."""
        return _mean_end(self.untouched(seed))


def _mean_end(curve: Floats) -> float:
    """The mean of the last quarter."""
    return float(np.mean(curve[-max(1, len(curve) // 4) :]))


def _grows(seen: Floats, reference: Floats) -> bool:
    """Whether the loss is above its start and still growing at the end.

    Momentum throws the loss up at first, also where it comes down again later: only the end
    tells, and there the last eighth is held against the one before.
    """
    eighth = max(1, len(seen) // 8)
    last, before = (float(np.mean(part)) for part in (seen[-eighth:], seen[-2 * eighth : -eighth]))
    start, noise = float(np.mean(reference)), float(np.std(reference))
    return last - start > max(GROWTH * (before - start), 4 * noise, 1e-9 * abs(start))


def outcome(probe: Probe, smaller: Sequence[Probe]) -> Outcome:
    """Whether a training converges, stays bounded without converging, or diverges.

    It converges when the loss falls, and by at least a tenth of what the best smaller learning
    rate reaches: small learning rates fall by little, but nothing below them falls by more.
    """
    if probe.fall is None or probe.loss is None:
        return "diverges"
    best = max((other.fall for other in smaller if other.fall is not None), default=0.0)
    return "converges" if probe.fall > max(LEARNT * best, _rounding(probe.loss)) else "bounded"


def idle(probe: Probe) -> bool:
    """Whether so small a learning rate changed nothing that arithmetic would not by itself."""
    return probe.fall is not None and abs(probe.fall) <= _rounding(probe.loss)


def _rounding(loss: float | None) -> float:
    return 1e-6 * abs(loss or 0.0)
