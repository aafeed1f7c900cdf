"""Worlds in which the truth is known: tuning and final trials of schedules that nobody trained.

Accuracies are in points. In worlds with a cliff a trial collapses to chance with a chance that
rises from 0 to 1 around an LR that differs a little from schedule to schedule. Schedules 0 and 1
of each world are one schedule under two names.

A is like MNIST, B a short training, C has no cliff. Their parameters were found by a random search
for worlds in which the best mean of 1, 2 and 3 tuning seeds has the regret, and ranks identical
schedules apart as often, as it did in the simulations that the bars come from. D and E break what
the choice assumes: in D each schedule has a cliff and a best LR of its own, up to two steps of the
grid apart; in E the noise has heavy tails and a collapse may leave more than half of the accuracy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PLACES = 6
CHANCE = 10.0


@dataclass(frozen=True)
class World:
    """A world of schedules, in places of the grid and points.

    `top` is the best accuracy and `tops` how much schedules differ in it; `peak` the place of the
    best LR and `peaks` its spread; `bend` what a step away from it costs (its square); `noise` of a
    tuning trial and `final_noise` of a final one, which is tested on more images; `cliff` the place
    where half of the trials collapse (None: nowhere), `cliffs` its spread, `width` how gradual it
    is; `tails` the degrees of freedom of the noise (0: normal); `partly` the largest share of what
    is gained over chance that a collapse may leave.
    """

    top: float
    tops: float
    peak: float
    peaks: float
    bend: float
    noise: float
    final_noise: float
    cliff: float | None = None
    cliffs: float = 0.0
    width: float = 0.0
    tails: int = 0
    partly: float = 0.0


WORLDS = {
    "A": World(99.0, 0.2, 3.14, 0.37, 0.105, 0.18, 0.07, cliff=4.25, cliffs=0.37, width=0.27),
    "B": World(92.0, 2.0, 4.13, 0.27, 1.27, 2.96, 0.76, cliff=4.50, cliffs=0.34, width=0.33),
    "C": World(99.0, 0.2, 2.77, 0.31, 0.033, 0.07, 0.04),
    "D": World(99.0, 0.2, 3.14, 1.00, 0.105, 0.18, 0.07, cliff=4.25, cliffs=1.0, width=0.27),
    "E": World(99.0, 0.2, 3.14, 0.37, 0.105, 0.12, 0.05, 4.25, 0.37, 0.27, tails=3, partly=0.6),
}


@dataclass(frozen=True)
class Truth:
    """What is true of each schedule at each place: mean without a collapse, chance of one, and
    what a trial may be expected to reach."""

    mean: Floats
    risk: Floats
    expected: Floats


def draw_truth(world: World, k: int, rng: np.random.Generator) -> Truth:
    place = np.arange(PLACES)[None, :]
    top = world.top + world.tops * rng.standard_normal((k, 1))
    peak = world.peak + world.peaks * rng.standard_normal((k, 1))
    cliff = (world.cliff or 0.0) + world.cliffs * rng.standard_normal((k, 1))
    for each in (top, peak, cliff):
        each[1] = each[0]
    mean = top - world.bend * (place - peak) ** 2
    risk = np.zeros((k, PLACES))
    if world.cliff is not None:
        risk = 1 / (1 + np.exp(-(place - cliff) / world.width))
    left = CHANCE + world.partly / 2 * (mean - CHANCE)
    return Truth(mean, risk, (1 - risk) * mean + risk * left)


def draw_trials(
    world: World,
    truth: Truth,
    places: Floats,
    seeds: int,
    rng: np.random.Generator,
    final: bool = False,
) -> tuple[Floats, NDArray[np.bool_]]:
    """(values, whether each collapsed), seeds x schedules x places, at the places given (schedules
    x any number of places)."""
    at = places.astype(int)
    mean, risk = (np.take_along_axis(each, at, axis=1) for each in (truth.mean, truth.risk))
    shape = (seeds, *at.shape)
    noise = rng.standard_t(world.tails, shape) if world.tails else rng.standard_normal(shape)
    fell = rng.random(shape) < risk
    left = CHANCE + world.partly * rng.random(shape) * (mean - CHANCE)
    return np.where(fell, left, mean + (world.final_noise if final else world.noise) * noise), fell


def draw_losses(
    world: World,
    truth: Truth,
    values: Floats,
    fell: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Floats:
    """Validation losses of tuning trials at all places: 0.03 a point, half of the value's noise
    and as much of their own; a collapse has the loss of chance."""
    noise = (values - truth.mean + world.noise * rng.standard_normal(values.shape)) / 2
    return np.where(fell, 2.3, 0.03 * (100 - truth.mean - noise))
