"""The LR of each schedule's final trials, from the tuning trials of all schedules.

The LR that does best on two seeds is often close to divergence: other seeds collapse there, and two
names of the same schedule end up at LRs that rank them apart. So the choice borrows strength from
the other schedules, which diverge near the same LR: the risk of a collapse is pooled over them, and
each mean is shrunk towards a shared curve, as far as the noise of the seeds demands.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import fmean
from typing import Any, Literal, NamedTuple

PRIOR_TRIALS = 4.0
"""The pooled risk counts as much as this many of a schedule's own trials."""
LOST = 0.5
"""A trial has collapsed if it lost this share of the best trial's gain over chance."""
NEAR = 1.5
"""Scores are near-ties within this many standard errors of a mean over seeds."""
ROUNDS = 20
UNSEEN = 0.5
"""The weight of a schedule's own mean if a single seed leaves its noise unknown."""

Edge = Literal["", "low", "high"]
Key = tuple[str, int]
"""Schedule and place."""


@dataclass(frozen=True)
class Tuned:
    """One tuning trial. `place` is the position of its LR in its schedule's grid: grids centred by
    the schedule's factor are compared place by place. `value` is the metric, higher is better, and
    `loss` the validation loss; None for a trial that did not end well."""

    schedule: str
    place: int
    lr: float
    seed: int
    value: float | None
    loss: float | None = None


@dataclass(frozen=True)
class Candidate:
    """What is known about one LR of a schedule. `mean` is over the trials that did not collapse,
    `curve` the same after shrinking, `risk` the chance that a trial collapses, and `score` the
    expected result of a final trial: (1 - risk) · curve + risk · chance."""

    place: int
    lr: float
    trials: int
    collapsed: int
    mean: float
    curve: float
    loss: float
    risk: float
    score: float

    @property
    def ended_well(self) -> bool:
        return math.isfinite(self.mean)


@dataclass(frozen=True)
class Choice:
    """The LR of one schedule and why: the chosen `candidate` among all, in order of LR, and whether
    a better LR may lie beyond an `edge` of the grid. `own_weight` is the weight of the schedule's
    own means against the shared curve, and `errors` are the standard errors of a mean metric and
    loss."""

    candidate: Candidate
    candidates: tuple[Candidate, ...]
    own_weight: float
    errors: tuple[float, float]
    edge: Edge = ""

    @property
    def lr(self) -> float:
        return self.candidate.lr

    @property
    def place(self) -> int:
        return self.candidate.place

    @property
    def best_by_mean(self) -> float:
        """The LR with the best unshrunken mean."""
        fit = (each for each in self.candidates if each.ended_well)
        return max(fit, key=lambda each: each.mean, default=self.candidate).lr

    @property
    def reason(self) -> str:
        """One line: how safe the LR is, and why it is not the one with the best mean."""
        taken = self.candidate
        if not taken.ended_well:
            return f"LR {self.lr:g}, the smallest: no trial ended well at any LR tried"
        text = f"LR {self.lr:g}, {taken.collapsed} of {taken.trials} trials collapsed"
        best = next(each for each in self.candidates if each.lr == self.best_by_mean)
        if best in _near_ties(self.candidates, self.errors):
            why = "is a near-tie, and this one suits all schedules better"
        elif best.risk > taken.risk:
            why = f"{100 * best.risk:.0f} % of its trials may collapse"
        else:
            why = "by less than its noise, given the curve of all schedules"
        text += f"; {best.lr:g} had the best mean but {why}" * (best is not taken)
        return text + f"; the {self.edge}est LR tried: a better one may lie beyond" * bool(
            self.edge
        )


class Curve(NamedTuple):
    """The shrunken mean of each cell; `error` is the standard error of a cell's own mean."""

    means: Mapping[Key, float]
    own_weight: float
    error: float


def choose(trials: Iterable[Tuned], chance: float) -> dict[str, Choice]:
    """The LR of each schedule; `chance` is the metric of a model that has learnt nothing."""
    every = list(trials)
    cells, kept = _cells(every), _cells(_kept(every, chance))
    risks = _pooled_risk(cells, kept)
    values = _shrunk({key: [t.value for t in kept[key]] for key in cells})
    losses = _shrunk({key: [t.loss for t in kept[key]] for key in cells})
    candidates: dict[str, list[Candidate]] = {}
    for key, tried in sorted(cells.items()):
        (schedule, place), collapsed = key, len(tried) - len(kept[key])
        risk = (collapsed + PRIOR_TRIALS * risks[place]) / (len(tried) + PRIOR_TRIALS)
        curve = values.means.get(key, math.nan)
        candidate = Candidate(
            place=place,
            lr=tried[0].lr,
            trials=len(tried),
            collapsed=collapsed,
            mean=fmean(t.value for t in kept[key] if t.value is not None)
            if kept[key]
            else math.nan,
            curve=curve,
            loss=losses.means.get(key, math.nan),
            risk=risk,
            score=(1 - risk) * curve + risk * chance if kept[key] else chance,
        )
        candidates.setdefault(schedule, []).append(candidate)
    errors = values.error, losses.error
    return {
        name: Choice(taken, tuple(candidates[name]), values.own_weight, errors)
        for name, taken in _taken(candidates, errors).items()
    }


def _cells(trials: Iterable[Tuned]) -> defaultdict[Key, list[Tuned]]:
    found = defaultdict[Key, list[Tuned]](list)
    for trial in trials:
        found[trial.schedule, trial.place].append(trial)
    return found


def _kept(trials: Iterable[Tuned], chance: float) -> list[Tuned]:
    """The trials that did not collapse. Below the smallest LR that trains, a low value means that
    the LR is too small."""
    ended = [(trial, trial.value) for trial in trials if trial.value is not None]
    best = max((value for _, value in ended), default=chance)
    least = chance + (1 - LOST) * (best - chance)
    first: dict[str, int] = {}
    for trial, value in ended:
        if value >= least:
            first[trial.schedule] = min(trial.place, first.get(trial.schedule, trial.place))
    return [
        trial
        for trial, value in ended
        if value >= least or trial.place < first.get(trial.schedule, math.inf)
    ]


def _pooled_risk(
    cells: Mapping[Key, Sequence[Tuned]], kept: Mapping[Key, Sequence[Tuned]]
) -> dict[int, float]:
    """The share of collapses at each place over all schedules, made to rise with the LR (pool
    adjacent violators: Ayer et al. 1955)."""
    trials, well = Counter[int](), Counter[int]()
    for key, tried in cells.items():
        trials[key[1]] += len(tried)
        well[key[1]] += len(kept[key])
    blocks: list[tuple[int, int, list[int]]] = []
    for place in sorted(trials):
        block = (trials[place] - well[place], trials[place], [place])
        while blocks and blocks[-1][0] * block[1] > block[0] * blocks[-1][1]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    return {place: bad / of for bad, of, places in blocks for place in places}


def _shrunk(found: Mapping[Key, Sequence[float | None]]) -> Curve:
    """Means shrunk towards schedule + place: the weight of a mean itself is 1 - (noise of a mean) /
    (variance of the means about that sum), at least 0."""
    known = {key: [x for x in group if x is not None] for key, group in found.items()}
    kept = {key: group for key, group in known.items() if group}
    means = {key: fmean(group) for key, group in kept.items()}
    shared = _additive(means, {key: len(group) for key, group in kept.items()})
    squares = math.fsum((x - means[key]) ** 2 for key, group in kept.items() for x in group)
    freedom = sum(len(group) - 1 for group in kept.values())
    spare = len(means) - len({key[0] for key in means}) - len({key[1] for key in means}) + 1
    spread = math.fsum((means[key] - shared[key]) ** 2 for key in means) / max(1, spare)
    if not freedom:
        weight, noise = UNSEEN, (1 - UNSEEN) * spread
    else:
        noise = squares / freedom / (sum(map(len, kept.values())) / len(kept))
        weight = max(0.0, 1 - noise / spread) if spread > 0 else 0.0
    curve = {key: weight * means[key] + (1 - weight) * shared[key] for key in means}
    return Curve(curve, weight, math.sqrt(noise))


def _additive(means: Mapping[Key, float], counts: Mapping[Key, int]) -> dict[Key, float]:
    """Least-squares fit of schedule + place by alternation; cells may be missing."""
    parts: list[dict[Any, float]] = [
        dict.fromkeys((key[axis] for key in means), 0.0) for axis in (0, 1)
    ]
    for _ in range(ROUNDS):
        for axis, part in enumerate(parts):
            for level in part:
                mine = [key for key in means if key[axis] == level]
                rest = {key: means[key] - parts[1 - axis][key[1 - axis]] for key in mine}
                total = math.fsum(counts[key] * rest[key] for key in mine)
                part[level] = total / sum(counts[key] for key in mine)
    return {key: parts[0][key[0]] + parts[1][key[1]] for key in means}


def _order(candidates: Iterable[Candidate], error: float) -> list[int]:
    """The places from the best for all schedules to the worst, by mean score; near-ties with the
    best are ordered by mean validation loss."""
    at: dict[int, list[Candidate]] = {}
    for each in candidates:
        at.setdefault(each.place, []).append(each)
    scores = {place: _mean([each.score for each in group]) for place, group in at.items()}
    losses = {place: -_mean([-each.loss for each in group]) for place, group in at.items()}
    order = sorted(scores, key=lambda place: -scores[place])
    best = scores[order[0]]
    ties = [p for p in order if scores[p] >= best - NEAR * error / math.sqrt(len(at[p]))]
    return sorted(ties, key=lambda place: losses[place]) + order[len(ties) :]


def _mean(values: Sequence[float]) -> float:
    """The mean of the known values; minus infinity without any."""
    known = [value for value in values if math.isfinite(value)]
    return fmean(known) if known else -math.inf


def _taken(
    candidates: Mapping[str, Sequence[Candidate]], errors: tuple[float, float]
) -> dict[str, Candidate]:
    """The candidate with the best score for each schedule; near-ties go to the place that suits all
    schedules best. If no trial ended well, the smallest LR."""
    order = _order(chain.from_iterable(candidates.values()), errors[0])
    return {
        name: min(_near_ties(group, errors), key=lambda each: order.index(each.place))
        for name, group in candidates.items()
    }


def _near_ties(candidates: Sequence[Candidate], errors: tuple[float, float]) -> Sequence[Candidate]:
    """The candidates as good as the best, in score and in loss, including the best."""
    fit = [each for each in candidates if each.ended_well]
    best = max(fit, key=lambda each: each.score, default=candidates[0])
    least, most = best.score - NEAR * errors[0], best.loss + NEAR * errors[1]
    return [each for each in fit if each.score >= least and not each.loss > most] or [best]


def choose_table(tables: Sequence[Mapping[str, Choice]]) -> dict[str, int]:
    """For each schedule, the index of the table (one per weight decay) with the best score;
    near-ties go to the table that suits all schedules best."""
    pairs = [choice.errors for table in tables for choice in table.values()]
    metric, loss = (
        math.sqrt(_mean([error**2 for error in each])) for each in zip(*pairs, strict=True)
    )
    candidates = {
        name: [replace(table[name].candidate, place=i) for i, table in enumerate(tables)]
        for name in tables[0]
    }
    return {name: taken.place for name, taken in _taken(candidates, (metric, loss)).items()}
