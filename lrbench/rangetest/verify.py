"""Verify a suggestion by short trainings at constant learning rates around it."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lrbench.rangetest.probe import ROUNDING, Probe, Prober

STEP = math.sqrt(10)
TOLERANCE = 0.02  # of (start - best)
FARTHEST = 6  # steps from the suggestion
FIRST = (0.0, -1.0, -2.0, 1.0)  # steps from it that are tried in any case
CAUTION = 0.5  # standard deviations that a loss counts for more than its mean
BOWL = 0.1  # of (start - best): losses above that are cut, since no parabola is a cliff


@dataclass(frozen=True)
class Verification:
    """The result of the trainings around a suggestion.

    `lr` is the suggestion if its loss is within 2 % of (start - best) of the best, else the minimum
    of a parabola through the best training and its neighbours. `learns` is false if no training
    ends below its start; it then confirms nothing. `losses` has the loss of each learning rate
    (None if a seed diverged): the mean over the seeds and the last steps plus half a standard
    deviation over both, since luck does not repeat. `data` is what they are judged by.
    """

    lr: float
    confirmed: bool
    learns: bool
    start: float
    losses: tuple[tuple[float, float | None], ...]
    probes: tuple[Probe, ...]
    data: Literal["validation", "training"]

    def to_dict(self) -> dict[str, Any]:
        return {
            "lr": self.lr,
            "confirmed": self.confirmed,
            "learns": self.learns,
            "start": self.start,
            "steps": max(probe.steps for probe in self.probes),
            "seeds": sorted({probe.seed for probe in self.probes}),
            "losses": [list(pair) for pair in self.losses],
            "data": self.data,
        }


def verify(prober: Prober, lr: float, seeds: Sequence[int]) -> Generator[Probe, None, Verification]:
    """Train at `lr` and at half decades around it, two of them below, since the loss may have a
    second valley at large learning rates; further if the best is at an end; and at quarter decades
    next to the best. Yields each probe as it is made.

    Args:
        lr: the suggestion of a sweep.
        seeds: each trains at every learning rate.
    """
    probes: dict[float, list[Probe]] = {}

    def train(offset: float) -> Generator[Probe, None, None]:
        probes[offset] = []
        for seed in seeds:
            probe = prober(lr * STEP**offset, seed)
            probes[offset].append(probe)
            yield probe

    for offset in FIRST:
        yield from train(offset)
    while (edge := _open_end(probes)) is not None:
        yield from train(edge)
    best = _best(probes)
    for offset in (best - 0.5, best + 0.5):
        yield from train(offset)

    start = float(np.mean([prober.start(seed) for seed in seeds]))
    judged = {offset: cautious(probes[offset]) for offset in sorted(probes)}
    lowest = min(judged.values())
    learns = start - lowest > ROUNDING * abs(start)
    confirmed = learns and judged[0.0] - lowest <= TOLERANCE * (start - lowest)
    roof = lowest + BOWL * (start - lowest)
    bowl = {offset: min(loss, roof) for offset, loss in judged.items()}
    offset = 0.0 if confirmed or not learns else parabola_minimum(bowl)
    return Verification(
        lr=lr * STEP**offset,
        confirmed=confirmed,
        learns=learns,
        start=start,
        losses=tuple((lr * STEP**k, v if math.isfinite(v) else None) for k, v in judged.items()),
        probes=tuple(probe for offset in sorted(probes) for probe in probes[offset]),
        data="validation" if prober.judge is not None and prober.judge.held_out else "training",
    )


def _open_end(probes: dict[float, list[Probe]]) -> float | None:
    """The next offset to try, while the best lies at an end of those tried."""
    best = _best(probes)
    if best == max(probes) and best < FARTHEST:
        return best + 1
    if best == min(probes) and best > -FARTHEST:
        return best - 1
    return None


def _best(probes: dict[float, list[Probe]]) -> float:
    """The offset of the lowest loss; the smallest where all diverged."""
    return min(sorted(probes), key=lambda offset: cautious(probes[offset]))


def cautious(probes: Sequence[Probe]) -> float:
    """The mean loss and half a standard deviation, over the seeds and over the last steps of each;
    infinite where a seed diverged."""
    losses = [_loss(probe) for probe in probes]
    if not all(map(math.isfinite, losses)):
        return math.inf
    within = np.mean([(probe.judged_sd or 0.0) ** 2 for probe in probes])
    return float(np.mean(losses) + CAUTION * math.sqrt(np.var(losses) + within))


def _loss(probe: Probe) -> float:
    loss = probe.loss if probe.loss is None or probe.judged is None else probe.judged
    return math.inf if loss is None or not math.isfinite(loss) else loss


def parabola_minimum(points: dict[float, float], reach: float = 1.0) -> float:
    """Where the parabola through the points within `reach` of the lowest is lowest, by least
    squares; never beyond the lowest point's neighbours, so that a cliff moves it but little.

    >>> round(parabola_minimum({0.0: 1.0, 1.0: 0.0, 2.0: 1.0}), 6)
    1.0
    """
    x = np.array(sorted(points))
    y = np.array([points[key] for key in sorted(points)])
    i = int(np.argmin(y))
    near = np.abs(x - x[i]) <= reach
    if i in (0, len(x) - 1) or near.sum() < 3:
        return float(x[i])
    a, b, _ = np.polyfit(x[near] - x[i], y[near] - y[i], 2)
    if a <= 0:
        return float(x[i])
    return float(x[i] + np.clip(-b / (2 * a), x[i - 1] - x[i], x[i + 1] - x[i]))
