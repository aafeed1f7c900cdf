"""Short trainings at a constant learning rate or under a schedule, from the same weights and on
the same batches."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lrbench.rangetest.judge import Judge
from lrbench.rangetest.smooth import Floats
from lrbench.rangetest.sweep import STEADY, Pace, Piece, Setup, read, sweep, trained

if TYPE_CHECKING:
    from torch import Tensor

Outcome = Literal["converges", "bounded", "diverges"]
Judged = tuple[float | None, float | None]

HOPELESS = 1e6  # times the size of the first losses: no need to train on
GROWTH = 1.2  # of the loss above its start, from one eighth of the steps to the next
JUDGEMENTS = 4  # in the last quarter of a training
ROUNDING = 1e-6  # relative to a loss
SETTLING = 6.4  # steps · (1 - momentum)
KICK = 3.0  # the same, for each factor of e in the first step
LEARNT = 0.1  # the part of the best fall so far that a training must reach to converge


@dataclass(frozen=True)
class Probe:
    """One short training at a learning rate, the base of its schedule: its mean loss over
    the last quarter of the steps (None if it diverged), how far that is below the loss of the
    initial weights on the same batches, and mean and standard deviation of the judge's loss."""

    lr: float
    seed: int
    steps: int
    loss: float | None
    fall: float | None
    judged: float | None = None
    judged_sd: float | None = None


class Prober:
    """Trains at constant learning rates for `steps` steps, or along the `paces` of a schedule, each
    time from a seed's weights."""

    def __init__(
        self, setup: Setup, steps: int, judge: Judge | None = None, paces: Sequence[Pace] = ()
    ) -> None:
        self.setup, self.judge = setup, judge
        self.steps = len(paces) or steps
        self.paces = tuple(paces)
        self.untouched: dict[int, tuple[Floats, Judged]] = {}

    def __call__(self, lr: float, seed: int) -> Probe:
        *_, probe = self.each([(lr, seed)])
        return probe

    def each(self, asked: Sequence[tuple[float, int]]) -> Generator[Probe, None, list[Probe]]:
        """Train at each (learning rate, seed), several at a time if possible; yields each probe as
        it is made, and returns them in the order in which they are asked for."""
        self.starts([seed for _, seed in asked])
        limits = [_hopeless(self.untouched[seed][0]) for _, seed in asked]
        found: dict[int, Probe] = {}
        for place, seen, judged in self._trained(asked, limits):
            lr, seed = asked[place]
            first, _ = self.untouched[seed]
            if not math.isfinite(seen[-1]) or seen[-1] > limits[place] or _grows(seen, first):
                probe = Probe(lr, seed, len(seen), None, None)
            else:
                end = _mean_end(seen)
                probe = Probe(lr, seed, self.steps, end, _mean_end(first) - end, *judged)
            found[place] = probe
            yield probe
        return [found[place] for place in range(len(asked))]

    def starts(self, seeds: Sequence[int]) -> list[Probe]:
        """Trainings at learning rate 0."""
        fresh = [(0.0, seed) for seed in dict.fromkeys(seeds) if seed not in self.untouched]
        for place, seen, judged in self._trained(fresh, [math.inf] * len(fresh)):
            self.untouched[fresh[place][1]] = seen, judged
        return [
            Probe(0.0, seed, self.steps, _mean_end(seen), 0.0, *judged)
            for seed, (seen, judged) in ((seed, self.untouched[seed]) for seed in seeds)
        ]

    def _trained(
        self, asked: Sequence[tuple[float, int]], limits: Sequence[float]
    ) -> Iterator[tuple[int, Floats, Judged]]:
        pieces = [
            Piece(
                find=self.setup.find, kind="short", seed=seed, lrs=(lr,), steps=self.steps,
                judged=self.judge is not None, paces=self.paces, limit=limit,
            )
            for (lr, seed), limit in zip(asked, limits, strict=True)
        ]  # fmt: skip
        places = {piece: place for place, piece in enumerate(pieces)}
        for piece, left in carried_out(self.setup, pieces):
            if left:
                losses, *judged = left
                yield places[piece], np.array(losses), (judged[0], judged[1])

    def train(self, seed: int, lr: float, limit: float = math.inf) -> tuple[Floats, Judged]:
        """Train to the end, or to the first loss that is not finite or above the limit: the losses,
        and mean and standard deviation of the judge's, asked a few times in the last quarter, or
        under a schedule, whose end counts, after the last few steps."""
        judgements: list[Tensor] = []
        apart = 1 if self.paces else max(1, self.steps // 16)
        asked = {self.steps - place * apart for place in range(JUDGEMENTS)}

        def course() -> Iterator[Tensor]:
            paces = self.paces or repeat(STEADY, self.steps)
            for step, (model, loss) in enumerate(trained(self.setup, seed, repeat(lr), paces), 1):
                if self.judge is not None and step in asked:
                    judgements.append(self.judge(model))
                yield loss

        seen: list[float] = []
        for loss in read(course()):
            seen.append(loss)
            if not math.isfinite(loss) or loss > limit:
                break
        found = list(read(judgements))
        with np.errstate(invalid="ignore"):  # of a loss that is infinite
            judged = (float(np.mean(found)), float(np.std(found))) if found else (None, None)
        return np.array(seen), judged


def carried_out(setup: Setup, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, list[Any]]]:
    """What each piece leaves, as it comes; here one after the other."""
    if setup.elsewhere is not None:
        yield from setup.elsewhere(pieces)
        return
    for piece in pieces:
        for left in carry_out(setup, piece):
            yield piece, left


def carry_out(setup: Setup, piece: Piece) -> Iterator[list[Any]]:
    """Train a piece in this process, and yield what it leaves."""
    yield []
    judge = setup.judge if piece.judged else None
    if piece.kind == "sweep":
        quick = judge and judge.quick()
        points = sweep(setup, piece.seed, piece.lrs, piece.steps, quick, stops=piece.stops)
        yield from ([point.loss] for point in points)
    else:
        prober = Prober(setup, piece.steps, judge, piece.paces)
        seen, judged = prober.train(piece.seed, piece.lrs[0], piece.limit)
        yield [seen.tolist(), *judged]


def _hopeless(first: Floats) -> float:
    """The loss at which no training comes back, from those at learning rate 0."""
    return float(first[0] + HOPELESS * max(float(np.ptp(first)), float(np.abs(first).max())))


def settling_steps(setup: Setup, seed: int, steps: int) -> int:
    """The steps after which a training's fate shows: momentum m above 0.9 first throws the loss up,
    for a time in proportion to 1/(1 - m), the longer the more the first gradient is above those
    that dampening d scales by 1 - d."""
    optimizer, _ = setup.make_optimizer(setup.task.model(seed))
    momentum, dampening = (
        max(float(group.get(name) or 0.0) for group in optimizer.param_groups)
        for name in ("momentum", "dampening")
    )
    if momentum <= 0.9 and not 0 < dampening < 1:
        return steps
    return max(steps, round((SETTLING - KICK * math.log1p(-dampening)) / (1 - momentum)))


def _mean_end(curve: Floats) -> float:
    """The mean of the last quarter."""
    return float(np.mean(curve[-max(1, len(curve) // 4) :]))


def _grows(seen: Floats, reference: Floats) -> bool:
    """Whether the loss is above its start and still growing: the last eighth of the steps is
    compared with the one before, since momentum raises the loss at first in any case."""
    if len(seen) < 2:
        return False
    eighth = max(1, len(seen) // 8)
    last, before = (float(np.mean(part)) for part in (seen[-eighth:], seen[-2 * eighth : -eighth]))
    start, noise = float(np.mean(reference)), float(np.std(reference))
    return last - start > max(GROWTH * (before - start), 4 * noise, 1e-9 * abs(start))


def outcome(probe: Probe, smaller: Sequence[Probe]) -> Outcome:
    """Whether a training converges, stays bounded without converging, or diverges.

    It converges if the loss falls, by at least a tenth of the best fall at a smaller learning rate.
    """
    if probe.fall is None or probe.loss is None:
        return "diverges"
    best = max((other.fall for other in smaller if other.fall is not None), default=0.0)
    return "converges" if probe.fall > max(LEARNT * best, _rounding(probe.loss)) else "bounded"


def idle(probe: Probe) -> bool:
    """Whether the learning rate is too small to change the loss by more than rounding errors."""
    return probe.fall is not None and abs(probe.fall) <= _rounding(probe.loss)


def _rounding(loss: float | None) -> float:
    return ROUNDING * abs(loss or 0.0)
