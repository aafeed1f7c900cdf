"""Short trainings at a constant learning rate or under a schedule, from the same weights and on the
same batches."""

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrbench.rangetest.training import Judge, Pace, Piece, Setup

HOPELESS = 1e6  # times the first losses: more training is pointless
ROUNDING = 1e-6  # relative to a loss
GROWTH = 1.2  # of the loss above its start, from one eighth of the steps to the next


@dataclass(frozen=True)
class Probe:
    """One short training at `lr`, the base of its schedule if it has one: its mean loss over the
    last quarter of the steps (None if it diverged), how far that is below the loss of the initial
    weights on the same batches, and the mean and standard deviation of the judge's loss."""

    lr: float
    seed: int
    steps: int
    loss: float | None
    fall: float | None
    judged: float | None = None
    judged_sd: float | None = None


@dataclass
class Prober:
    """Trains for `steps` steps, at constant learning rates or along the `paces` of a schedule, one
    per step, always from a seed's initial weights. `untouched` maps seeds to the results of
    training at learning rate 0."""

    setup: Setup
    steps: int
    judge: Judge | None = None
    paces: tuple[Pace, ...] = ()
    untouched: dict[int, list[Any]] = field(default_factory=dict)

    def each(self, asked: Sequence[tuple[float, int]]) -> Generator[Probe, None, list[Probe]]:
        """Train at each (learning rate, seed), several at a time if possible. Yields each probe as
        it finishes; returns them in the requested order."""
        self.starts([seed for _, seed in asked])
        pieces = [self._piece(lr, seed, self._hopeless(seed)) for lr, seed in asked]
        found = {}
        for piece, left in self.setup.carried_out(pieces):
            if left:
                found[piece] = self._probe(piece, *left)
                yield found[piece]
        return [found[piece] for piece in pieces]

    def starts(self, seeds: Iterable[int]) -> list[Probe]:
        """The probes at learning rate 0; each seed is trained only once."""
        fresh = [self._piece(0.0, seed) for seed in seeds if seed not in self.untouched]
        for piece, left in self.setup.carried_out(list(dict.fromkeys(fresh))):
            if left:
                self.untouched[piece.seed] = left
        return [
            Probe(0.0, seed, self.steps, _mean_end(losses), 0.0, *judged)
            for seed in seeds
            for losses, *judged in [self.untouched[seed]]
        ]

    def _piece(self, lr: float, seed: int, limit: float = math.inf) -> Piece:
        return Piece(
            find=self.setup.spec, kind="short", seed=seed, lrs=(lr,), steps=self.steps,
            judged=self.judge is not None, paces=self.paces, limit=limit,
        )  # fmt: skip

    def _hopeless(self, seed: int) -> float:
        """The loss above which no training recovers, from the losses at learning rate 0."""
        first = np.array(self.untouched[seed][0])
        return float(first[0] + HOPELESS * max(np.ptp(first), np.abs(first).max()))

    def _probe(self, piece: Piece, losses: list[float], *judged: float | None) -> Probe:
        (lr,), first = piece.lrs, self.untouched[piece.seed][0]
        if not math.isfinite(losses[-1]) or losses[-1] > piece.limit or _grows(losses, first):
            return Probe(lr, piece.seed, len(losses), None, None)
        end = _mean_end(losses)
        return Probe(lr, piece.seed, self.steps, end, _mean_end(first) - end, *judged)


def _mean_end(losses: Sequence[float]) -> float:
    """The mean of the last quarter."""
    return _mean(losses[-max(1, len(losses) // 4) :])


def _mean(losses: Sequence[float]) -> float:
    return float(np.mean(losses))


def _grows(losses: Sequence[float], reference: Sequence[float]) -> bool:
    """True if the loss is above its start and still growing. The last eighth of the steps is
    compared with the one before, because momentum always raises the loss at first."""
    if len(losses) < 2:
        return False
    eighth = max(1, len(losses) // 8)
    last, before = _mean(losses[-eighth:]), _mean(losses[-2 * eighth : -eighth])
    start, noise = _mean(reference), float(np.std(reference))
    return last - start > max(GROWTH * (before - start), 4 * noise, 1e-9 * abs(start))
