"""Racing schedules over seeds: a group-sequential closed test, a pure function of the values.

After some numbers of seeds (looks) every pair is tested; schedules that are told to be behind
another are trained no further. The chance of any false claim, over all pairs and looks, stays at
alpha: each pair has a sequential p-value, built from a spending of the error over its looks
(Armitage, McPherson and Rowe 1969; Lan and DeMets 1983), and Bergmann-Hommel closes the family
(Maurer and Bretz 2013 for the combination of the two).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from lrbench.analysis.closure import Bools, Floats, Ints, adjusted_all_pairs, transitive
from lrbench.analysis.pairs import compare_pairs

FIRST_LOOK = 5
FRACTIONS = (0.25, 0.4, 0.6, 1.0)
OVERSPENT = 1.12
"""The boundaries are those of normal statistics; t statistics cross them 7 to 11 % more often."""
FIRST_SHARE = 0.8
LEVELS = np.geomspace(1e-8, 1.0, 60)[:-1]


@dataclass(frozen=True)
class Looks:
    """After which numbers of seeds the schedules are compared, and the share of alpha that may
    have been spent by then. Both rise; shares are at most 1."""

    seeds: tuple[int, ...]
    shares: tuple[float, ...]


def race_looks(most: int) -> Looks:
    """Up to four looks, spending in proportion to the seeds; the first after at least five.

    >>> race_looks(20)
    Looks(seeds=(5, 8, 12, 20), shares=(0.25, 0.4, 0.6, 1.0))
    """
    counts = {min(most, max(FIRST_LOOK, round(most * share))) for share in FRACTIONS}
    seeds = tuple(sorted(counts))
    return Looks(seeds, tuple(count / most for count in seeds))


def grown_looks(seeds: tuple[int, ...], first: float = FIRST_SHARE) -> Looks:
    """The looks of a run that was grown: the first spends `first` of alpha, and each one after it
    the same share of what is left, so that there is always some left to spend.

    >>> grown_looks((5, 10)).shares
    (0.8, 0.96)
    """
    return Looks(seeds, tuple(round(1 - (1 - first) ** (i + 1), 12) for i in range(len(seeds))))


def sequential_p(p: Floats, look: int, looks: Looks) -> Floats:
    """The smallest alpha at which p-values of that look cross its boundary. The least of them over
    the looks is a p-value, valid whenever one stops. A single look that spends all returns p."""
    if len(looks.seeds) == 1 and looks.shares == (1.0,):
        return p
    nominal = boundaries(looks)[look]
    with np.errstate(divide="ignore"):
        crossed = np.interp(np.log(p), np.log(nominal), np.log(LEVELS), left=-np.inf, right=0.0)
    return np.where(np.isnan(p), np.nan, np.minimum(np.exp(crossed) * OVERSPENT, 1.0))


@cache
def boundaries(looks: Looks) -> Floats:
    """Nominal two-sided levels, looks x LEVELS: what p must fall below at each look so that no
    more than LEVELS times the look's share is spent by then."""
    return np.array([_nominal_levels(float(level), looks) for level in LEVELS]).T


def _nominal_levels(level: float, looks: Looks) -> list[float]:
    """The recursion of Armitage et al. for a Brownian motion seen at times n: at each look the
    boundary is where the chance of leaving there, having stayed within before, is the look's."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    levels, spent = [level * looks.shares[0]], level * looks.shares[0]
    where, density = _start(looks.seeds[0], levels[0])
    for before, now, share in zip(looks.seeds, looks.seeds[1:], looks.shares[1:], strict=False):
        step = math.sqrt(now - before)
        weights = density * (where[1] - where[0])

        def left_by(z: float, now: int = now, step: float = step, weights: Floats = weights,
                    where: Floats = where) -> float:  # fmt: skip
            edge = z * math.sqrt(now)
            return float(weights @ (ndtr((-edge - where) / step) + ndtr((where - edge) / step)))

        target = level * share - spent
        z = brentq(lambda z, f=left_by, goal=target: f(z) - goal, 0.0, 12.0, xtol=1e-9)
        levels.append(float(2 * ndtr(-z)))
        spent = level * share
        edge = z * math.sqrt(now)
        here = np.linspace(-edge, edge, len(where))
        kernel = np.exp(-0.5 * ((here[:, None] - where) / step) ** 2) / (
            step * math.sqrt(2 * math.pi)
        )
        where, density = here, kernel @ weights
    return levels


def _start(n: int, level: float) -> tuple[Floats, Floats]:
    from scipy.special import ndtri

    edge = -float(ndtri(level / 2)) * math.sqrt(n)
    where = np.linspace(-edge, edge, 401)
    return where, np.exp(-0.5 * where**2 / n) / math.sqrt(2 * math.pi * n)


@dataclass(frozen=True, eq=False)
class Race:
    """What the seeds so far say, and which are wanted next.

    `better[i, j]`: i is told to be ahead of j, closed under transitivity; `adjusted` holds the
    p-values over all pairs and looks; `alive` are those behind nobody; `stopped` the seeds after
    which each left (0: still in); `looked` how many looks were had. `next_seeds` is the number of
    seeds that the alive are to have next, None when the race is over.
    """

    better: Bools
    adjusted: Floats
    alive: Bools
    stopped: Ints
    looked: int
    next_seeds: int | None


def race(
    values: Floats, done: Bools, looks: Looks, alpha: float, direction: int = 1, floor: float = 0.0
) -> Race:
    """Every look that the data allow, from the first: resuming is the same call again.

    `values` and `done` are seeds x schedules, seeds in the order in which they are trained;
    `done` where a training has ended, NaN where it ended without a usable value (diverged or
    collapsed). Later seeds of a schedule that has left are not looked at.
    """
    k = values.shape[1]
    least, claims = np.full((k, k), np.nan), np.zeros((k, k), dtype=bool)
    alive, stopped = np.ones(k, dtype=bool), np.zeros(k, dtype=np.int64)
    adjusted = least
    for look, n in enumerate(looks.seeds):
        if len(done) < n or not done[:n, alive].all():
            return Race(transitive(claims), adjusted, alive, stopped, look, n)
        pairs = compare_pairs(np.where(alive, values[:n], np.nan), floor)
        fresh = np.where(np.eye(k, dtype=bool), np.nan, sequential_p(pairs.p, look, looks))
        sharper = np.isnan(least) | (fresh < least)
        least = np.where(np.isnan(fresh) | ~sharper, least, fresh)
        adjusted = adjusted_all_pairs(least)
        with np.errstate(invalid="ignore"):
            claims |= (adjusted <= alpha) & (direction * pairs.mean > 0) & np.outer(alive, alive)
        behind = alive & claims.any(axis=0)
        stopped[behind] = n
        alive &= ~behind
        if alive.sum() <= 1 or _all_equal(pairs.equal, alive):
            return Race(transitive(claims), adjusted, alive, stopped, look + 1, None)
    return Race(transitive(claims), adjusted, alive, stopped, len(looks.seeds), None)


def _all_equal(equal: Bools, alive: Bools) -> bool:
    """Whether those left agree in every seed: more seeds would only repeat them."""
    left = equal[np.ix_(alive, alive)]
    return bool((left | np.eye(len(left), dtype=bool)).all())
