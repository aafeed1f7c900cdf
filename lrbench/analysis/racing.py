"""Racing schedules over seeds: a group-sequential closed test, a pure function of the values.

After certain numbers of seeds (looks) every pair is tested; a schedule found worse than another is
trained no further. The chance of any false claim, over all pairs and looks, stays at alpha: each
pair has a sequential p-value, built by spending the error over its looks (Armitage, McPherson and
Rowe 1969; Lan and DeMets 1983), and Bergmann-Hommel closes the family (Maurer and Bretz 2013 for
the combination of the two).
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from lrbench.analysis.corrections import (
    Bools,
    Floats,
    Ints,
    adjusted_all_pairs,
    ahead,
    holm_pairs,
    transitive,
)
from lrbench.analysis.intervals import compare_pairs

OVERSPENT = 1.12
"""The boundaries assume normal statistics; t statistics cross them 7 to 11 % more often."""
FIRST_SHARE = 0.8
LEVELS = np.geomspace(1e-8, 1.0, 60)[:-1]


@dataclass(frozen=True)
class Looks:
    """After how many seeds the schedules are compared, and the share of alpha that may be spent by
    then. Both increase; shares are at most 1. In a race, schedules found worse drop out."""

    seeds: tuple[int, ...]
    shares: tuple[float, ...]
    race: bool = False


def spending(seeds: tuple[int, ...], *, race: bool) -> Looks:
    """The looks at these numbers of seeds. A single look spends all of the error; the looks of a
    race spend it in proportion to the seeds. In a run that grew, the first look spends FIRST_SHARE,
    and each later one the same share of what is left, so that some is always left.

    >>> spending((5, 8, 12, 20), race=True).shares, spending((5, 10), race=False).shares
    ((0.25, 0.4, 0.6, 1.0), (0.8, 0.96))
    """
    if race or len(seeds) == 1:
        return Looks(seeds, tuple(n / seeds[-1] for n in seeds), race)
    left = [(1 - FIRST_SHARE) ** (look + 1) for look in range(len(seeds))]
    return Looks(seeds, tuple(round(1 - share, 12) for share in left))


def sequential_p(p: Floats, look: int, looks: Looks) -> Floats:
    """The smallest alpha at which p-values of this look cross its boundary. Their minimum over the
    looks is a p-value, valid whenever the run stops. A single look returns p as it is."""
    if len(looks.seeds) == 1:
        return p
    nominal = boundaries(looks)[look]
    with np.errstate(divide="ignore"):
        crossed = np.interp(np.log(p), np.log(nominal), np.log(LEVELS), left=-np.inf, right=0.0)
    return np.where(np.isnan(p), np.nan, np.minimum(np.exp(crossed) * OVERSPENT, 1.0))


def nominal_levels(alpha: float, looks: Looks) -> Floats:
    """The level that p must fall below at each look for `sequential_p` to fall below alpha."""
    if len(looks.seeds) == 1:
        return np.array([alpha])
    spent = math.log(alpha / OVERSPENT)
    rows = [np.interp(spent, np.log(LEVELS), np.log(row)) for row in boundaries(looks)]
    return np.exp(rows)


@cache
def boundaries(looks: Looks) -> Floats:
    """Nominal two-sided levels, looks x LEVELS: what p must fall below at each look so that no more
    than LEVELS times the look's share is spent by then."""
    return np.array([_nominal_levels(float(level), looks) for level in LEVELS]).T


def _nominal_levels(level: float, looks: Looks) -> list[float]:
    """The recursion of Armitage et al. for a Brownian motion observed at times n: each look's
    boundary is where the chance of crossing it for the first time equals the look's share."""
    levels, spent, before = [level * looks.shares[0]], level * looks.shares[0], looks.seeds[0]
    edge = -float(ndtri(levels[0] / 2)) * math.sqrt(before)
    where = np.linspace(-edge, edge, 401)
    density = np.exp(-0.5 * where**2 / before) / math.sqrt(2 * math.pi * before)
    for now, share in zip(looks.seeds[1:], looks.shares[1:], strict=True):
        step, weights = math.sqrt(now - before), density * (where[1] - where[0])
        z = _boundary(where, weights, step, now, level * share - spent)
        levels.append(float(2 * ndtr(-z)))
        edge, spent, before = z * math.sqrt(now), level * share, now
        here = np.linspace(-edge, edge, len(where))
        kernel = np.exp(-0.5 * ((here[:, None] - where) / step) ** 2)
        where, density = here, kernel / (step * math.sqrt(2 * math.pi)) @ weights
    return levels


def _boundary(where: Floats, weights: Floats, step: float, now: int, chance: float) -> float:
    """The z crossed with probability `chance` at the look `now`, after a step from `where`."""

    def excess(z: float) -> float:
        edge = z * math.sqrt(now)
        leaves = ndtr((-edge - where) / step) + ndtr((where - edge) / step)
        return float(weights @ leaves) - chance

    return float(brentq(excess, 0.0, 12.0, xtol=1e-9))


@dataclass(frozen=True, eq=False)
class Race:
    """The results of the looks so far, and the seeds to train next; matrices are k x k.

    `p` holds each pair's p-value over all looks, `last` the look at which it was last tested;
    `adjusted` is corrected for all pairs as well, and `better[i, j]` says that i is found better
    than j, closed under transitivity. `alive` marks the schedules still in the race, `stopped` the
    number of seeds after which the others left (0: still in), `looked` counts the looks.
    `next_seeds` is the number of seeds that those still in the race need next; None: it is over.
    """

    looks: Looks
    p: Floats
    last: Ints
    adjusted: Floats
    better: Bools
    alive: Bools
    stopped: Ints
    looked: int
    next_seeds: int | None

    @property
    def seeds(self) -> int:
        """The number of seeds at the last look; 0 before the first."""
        return self.looks.seeds[self.looked - 1] if self.looked else 0

    @property
    def wanted(self) -> Ints:
        """How many final seeds each schedule should have by now."""
        return np.where(self.alive, self.next_seeds or self.seeds, self.stopped)

    def valid(self, p: Floats) -> Floats:
        """p-values of the last tests, made valid over all looks."""
        looks = range(len(self.looks.seeds))
        each = [sequential_p(p, look, self.looks) for look in looks]
        return np.asarray(np.choose(self.last, each))


def race(
    values: Floats,
    done: Bools,
    looks: Looks,
    alpha: float,
    direction: int = 1,
    floor: float = 0.0,
    reference: int | None = None,
) -> Race:
    """Every look that the data allow, from the first; resuming is the same call again.

    `values` and `done` are seeds x schedules, with seeds in training order. `done` is True where a
    training has ended; its value is NaN if it ended without a usable one (diverged or collapsed). A
    schedule found worse than another leaves the race, as does one with fewer than two usable seeds.
    With a `reference` only pairs with it are tested (Holm), and a schedule told apart from it
    leaves.
    """
    k = values.shape[1]
    pair, adjust = ~np.eye(k, dtype=bool), adjusted_all_pairs
    if reference is not None:
        pair &= np.logical_or.outer(np.arange(k) == reference, np.arange(k) == reference)
        adjust = holm_pairs
    p, adjusted, sign = np.full((3, k, k), np.nan)
    last, claims = np.zeros((k, k), dtype=np.int64), np.zeros((k, k), dtype=bool)
    alive, stopped = np.ones(k, dtype=bool), np.zeros(k, dtype=np.int64)
    looked, next_seeds = 0, None
    for look, n in enumerate(looks.seeds):
        if len(done) < n or not done[:n, alive].all():
            next_seeds = n
            break
        looked = look + 1
        pairs = compare_pairs(np.where(alive, values[:n], np.nan), floor)
        fresh = np.where(pair, sequential_p(pairs.p, look, looks), np.nan)
        last[np.isfinite(fresh)] = look
        sign = np.where(np.isnan(p) | (fresh < p), np.sign(pairs.mean), sign)
        p = np.fmin(p, fresh)
        adjusted = adjust(p)
        claims |= ahead(sign, adjusted, alpha, direction)
        if looks.race:
            leaves = alive & _left(values[:n], claims, reference)
            stopped[leaves] = n
            alive &= ~leaves
            if _is_over(alive, pairs.equal, reference):
                break
    return Race(looks, p, last, adjusted, transitive(claims), alive, stopped, looked, next_seeds)


def _left(values: Floats, claims: Bools, reference: int | None) -> Bools:
    """Schedules that lost, cannot be tested, or were told apart from the reference."""
    lost = np.isfinite(values).sum(axis=0) < 2
    told = claims.any(axis=0)
    if reference is not None:
        told = claims[reference] | claims[:, reference]
    return np.asarray(lost | told)


def _is_over(alive: Bools, equal: Bools, reference: int | None) -> bool:
    """True if no pair is left to tell apart, or those left agree in every seed: more seeds would
    only repeat them."""
    if reference is not None and not alive[reference]:
        return True
    left = equal[np.ix_(alive, alive)]
    return bool((left | np.eye(len(left), dtype=bool)).all())
