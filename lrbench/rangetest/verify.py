"""Verify a suggestion with short trainings at learning rates around it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import le
from typing import Literal

import numpy as np

from lrbench.rangetest.probe import ROUNDING, Probe, Prober

STEP = math.sqrt(10)
TOLERANCE = 0.02  # of (start - best)
RELATIVE = 0.05  # of the best loss; the smaller tolerance counts: a small part of a deep fall
# may be a large part of the best loss
FARTHEST = 6  # steps from the suggestion
FIRST = (0.0, -1.0, -2.0, 1.0)  # steps from the suggestion, always tried
CAUTION = 0.5  # standard deviations added to a mean loss
NOISY = 5.0  # tolerances above the best that chance may explain
BOWL = 3.0  # tolerances, or distances of the second best, above the best: higher losses are
# clipped, since a parabola cannot fit a cliff
Tried = dict[float, list[Probe]]  # key: half decades from the suggestion


@dataclass(frozen=True)
class Verification:
    """The result of the trainings around a suggestion.

    `equally_good` are the lowest and highest of the adjacent learning rates whose losses differ
    from the best by at most 2 % of (start - best) and 5 % of the best, or five times that if the
    seeds differ as much. `lr` is always one that was tried: the suggestion if it is equally good
    (then `confirmed`), else the one nearest to the minimum of a parabola through the best and its
    neighbours if that is, else the best. `learns` is False if no training ends clearly below one at
    learning rate 0, whose loss is `start`; then nothing is confirmed. `losses` has the loss of each
    learning rate (None if a seed diverged): the mean over the seeds and the last steps plus half a
    standard deviation over both, since luck does not repeat. `data` is what the losses are on,
    `steps` the length of the longest training.
    """

    lr: float
    confirmed: bool
    learns: bool
    start: float
    equally_good: tuple[float, float]
    losses: tuple[tuple[float, float | None], ...]
    data: Literal["validation", "training"]
    steps: int
    seeds: tuple[int, ...]


def verify(
    prober: Prober, lr: float, seeds: Sequence[int], highest: float = math.inf
) -> Iterator[Probe | Verification]:
    """Train at `lr` and at half decades around it, two below and one above, since the loss may have
    a second valley at large learning rates; beyond an end while the best is there; a quarter decade
    to each side of the best; and, unless the suggestion stands, where a parabola through these is
    lowest, to an eighth of a decade. Yields each probe as it finishes, then the result.

    Args:
        lr: the suggestion of a sweep.
        seeds: each trains at every learning rate.
        highest: the highest learning rate to try.
    """
    lr = min(lr, highest)
    top = math.log(highest / lr, STEP)
    tried: Tried = {}
    untrained = prober.starts(seeds)

    def train(*offsets: float) -> Iterator[Probe]:
        asked = [offset for offset in offsets if offset <= top and offset not in tried]
        pairs = [(lr * STEP**offset, seed) for offset in asked for seed in seeds]
        found = iter((yield from prober.each(pairs)))
        tried.update({offset: list(islice(found, len(seeds))) for offset in asked})

    yield from train(*FIRST)
    while (edge := _open_end(tried, untrained, top)) is not None:
        yield from train(edge)
    best = _best(tried)
    yield from train(best - 0.5, best + 0.5)
    _, _, middle = _judged(tried, untrained)
    yield from train(middle)

    learns, equal, _ = _judged(tried, untrained)
    offset = next(k for k in (0.0, middle, _best(tried)) if k in equal or not learns)
    held_out = prober.judge is not None and prober.judge.held_out
    scores = {k: cautious(tried[k]) for k in sorted(tried)}
    yield Verification(
        lr=lr * STEP**offset,
        confirmed=learns and offset == 0.0,
        learns=learns,
        start=cautious(untrained),
        equally_good=(lr * STEP ** equal[0], lr * STEP ** equal[-1]),
        losses=tuple(
            (lr * STEP**k, score if math.isfinite(score) else None) for k, score in scores.items()
        ),
        data="validation" if held_out else "training",
        steps=max(probe.steps for probes in tried.values() for probe in probes),
        seeds=tuple(sorted(seeds)),
    )


def _judged(tried: Tried, untrained: Sequence[Probe]) -> tuple[bool, list[float], float]:
    """Whether training helps, the equally good offsets in increasing order, and the answer's
    offset: 0 for the suggestion, or a parabola's minimum, to an eighth of a decade."""
    best, start = _best(tried), cautious(untrained)
    lowest = cautious(tried[best])
    above = {offset: cautious(tried[offset]) - lowest for offset in sorted(tried)}
    fall, error = _difference(untrained, tried[best]) if lowest < start else (0.0, 0.0)
    learns = fall > max(error, ROUNDING * abs(start))
    small = min(TOLERANCE * (start - lowest), RELATIVE * abs(lowest))
    worse = [
        offset
        for offset, much in above.items()
        if not (much <= NOISY * small and le(*_difference(tried[offset], tried[best])))
        and not much <= small
    ]
    low = max((offset for offset in worse if offset < best), default=-math.inf)
    high = min((offset for offset in worse if offset > best), default=math.inf)
    equal = [offset for offset in above if offset == best or low < offset < high]
    if 0.0 in equal or not learns:
        return learns, equal, 0.0
    _, second, *_ = sorted(above.values())
    roof = BOWL * max(small, second if math.isfinite(second) else 0.0)
    bowl = {offset: min(much, roof) for offset, much in above.items()}
    return learns, equal, round(4 * parabola_minimum(bowl)) / 4


def _difference(probes: Sequence[Probe], others: Sequence[Probe]) -> tuple[float, float]:
    """How far losses are above those of other trainings with the same seeds, on average, and the
    standard error of this mean (0 for a single seed)."""
    apart = np.subtract([_loss(probe) for probe in probes], [_loss(probe) for probe in others])
    error = np.std(apart, ddof=1) / math.sqrt(len(apart)) if len(apart) > 1 else 0.0
    return float(np.mean(apart)), float(error)


def _open_end(tried: Tried, untrained: Sequence[Probe], top: float) -> float | None:
    """The next offset to try if the best is the lowest or highest tried; None otherwise, above
    `top`, beyond `FARTHEST`, or below a learning rate that changes nothing."""
    best, start = _best(tried), cautious(untrained)
    if best == max(tried) and best < FARTHEST:
        return best + 1 if best + 1 <= top else None
    idle = abs(cautious(tried[best]) - start) <= ROUNDING * abs(start)
    return best - 1 if best == min(tried) and best > -FARTHEST and not idle else None


def _best(tried: Tried) -> float:
    """The offset of the lowest loss; the smallest offset if all diverged."""
    return min(sorted(tried), key=lambda offset: cautious(tried[offset]))


def cautious(probes: Sequence[Probe]) -> float:
    """The mean loss plus half a standard deviation, over the seeds and the last steps of each;
    infinite if a seed diverged."""
    losses = [_loss(probe) for probe in probes]
    if not all(map(math.isfinite, losses)):
        return math.inf
    within = np.mean([(probe.judged_sd or 0.0) ** 2 for probe in probes])
    return float(np.mean(losses) + CAUTION * math.sqrt(np.var(losses) + within))


def _loss(probe: Probe) -> float:
    loss = probe.loss if probe.loss is None or probe.judged is None else probe.judged
    return math.inf if loss is None or not math.isfinite(loss) else loss


def parabola_minimum(points: dict[float, float]) -> float:
    """The minimum of the least-squares parabola through the points within 1 of the lowest; never
    beyond the lowest point's neighbours, so that a cliff moves it little.

    >>> round(parabola_minimum({0.0: 1.0, 1.0: 0.0, 2.0: 1.0}), 6)
    1.0
    """
    x = np.array(sorted(points))
    y = np.array([points[key] for key in sorted(points)])
    i = int(np.argmin(y))
    near = np.abs(x - x[i]) <= 1.0
    if i in (0, len(x) - 1) or near.sum() < 3:
        return float(x[i])
    a, b, _ = np.polyfit(x[near] - x[i], y[near] - y[i], 2)
    if a <= 0:
        return float(x[i])
    return float(x[i] + np.clip(-b / (2 * a), x[i - 1] - x[i], x[i + 1] - x[i]))
