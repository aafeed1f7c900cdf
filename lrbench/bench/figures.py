"""From timed rounds to figures: medians of per-round ratios, and when there is no difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

NOISE = 0.15  # two loops within this share of each other are not told apart on a shared machine


@dataclass(frozen=True)
class Round:
    """One timed round: wall-clock seconds, CPU seconds of the processes that train (None where
    worker processes load the data), images trained on."""

    wall_s: float
    cpu_s: float | None
    images: int

    @property
    def images_s(self) -> float:
        return self.images / self.wall_s


@dataclass(frozen=True)
class Ratio:
    """How many times as fast: the median over rounds, the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @property
    def is_difference(self) -> bool:
        """Whether it is more than what noise makes on a shared machine.

        >>> Ratio(1.1, 1.0, 1.2).is_difference, Ratio(0.8, 0.7, 0.9).is_difference
        (False, True)
        """
        return not 1 / (1 + NOISE) < self.median < 1 + NOISE


def ratio(ours: Sequence[Round], theirs: Sequence[Round]) -> Ratio:
    """Our images a second over theirs, round by round, by the wall clock.

    >>> ratio([Round(1, 1, 30), Round(1, 1, 50)], [Round(1, 1, 10), Round(2, 2, 20)])
    Ratio(median=4.0, low=3.0, high=5.0)
    """
    return _spread([a.images_s / b.images_s for a, b in zip(ours, theirs, strict=True)])


def cpu_ratio(ours: Sequence[Round], theirs: Sequence[Round]) -> Ratio | None:
    """The same by CPU time, which other load on the machine stretches less; None where it is
    not known."""
    pairs = [
        ((a.images / a.cpu_s), (b.images / b.cpu_s))
        for a, b in zip(ours, theirs, strict=True)
        if a.cpu_s and b.cpu_s
    ]
    return _spread([a / b for a, b in pairs]) if len(pairs) == len(ours) else None


def images_s(rounds: Sequence[Round]) -> float:
    """The median throughput, images a second."""
    return median(r.images_s for r in rounds)


def cpu_us_image(rounds: Sequence[Round]) -> float | None:
    """The median CPU time of an image, in microseconds."""
    spent = [1e6 * r.cpu_s / r.images for r in rounds if r.cpu_s is not None]
    return median(spent) if spent else None


def _spread(ratios: Sequence[float]) -> Ratio:
    return Ratio(median(ratios), min(ratios), max(ratios))
