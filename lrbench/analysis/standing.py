"""How the schedules stand: the final trials of one budget and one batch size, best first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple, cast

import numpy as np
from pandas import DataFrame

from lrbench.analysis.corrections import Floats, Ints
from lrbench.analysis.evidence import at_chance
from lrbench.analysis.frames import completed
from lrbench.analysis.intervals import sd_floor
from lrbench.analysis.question import MetricName, Question, direction, is_accuracy
from lrbench.analysis.racing import race
from lrbench.analysis.verdicts import Verdicts, best_first, judge
from lrbench.plan.choice import Edge

MANY_IMAGES = 10**9


@dataclass(frozen=True, eq=False)
class Standing:
    """The schedules of one budget and batch size, best first.

    `values` is seeds x schedules, NaN where a seed has no usable value. Of the final trials without
    one, `failed` counts those that diverged or failed, and `collapsed` those that ended at chance.
    `finals` are each schedule's rows of the trials. `floor` is the smallest standard deviation
    assumed for a difference, `images` the number of images the metric is measured on. `edges` says
    which LRs are the lowest or highest of those tried.
    """

    budget: int
    batch_size: int
    metric: MetricName
    confidence: float
    floor: float
    images: int | None
    names: tuple[str, ...]
    lrs: Floats
    edges: tuple[Edge, ...]
    seeds: Ints
    values: Floats
    failed: Ints
    collapsed: Ints
    finals: tuple[DataFrame, ...]
    verdicts: Verdicts

    @property
    def counts(self) -> Ints:
        """The number of usable seeds of each schedule."""
        return np.asarray(np.isfinite(self.values).sum(axis=0))

    @property
    def lost(self) -> Ints:
        """The number of final trials of each schedule without a usable value."""
        return self.failed + self.collapsed

    @property
    def best(self) -> str | None:
        """The schedule that ranks first; None before any final trial ended well."""
        return self.names[0] if self.counts[0] else None

    @property
    def winner(self) -> str | None:
        """The schedule found better than every other; None if there is none."""
        alone = len(self.names) > 1 and bool(self.verdicts.better[0, 1:].all())
        return self.names[0] if alone else None

    @property
    def apart(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The pairs told apart: each schedule found better than others, with those others."""
        found = zip(self.names, self.verdicts.better.tolist(), strict=True)
        return tuple((name, tuple(compress(self.names, row))) for name, row in found if any(row))

    @property
    def cell(self) -> dict[str, Any]:
        """The values that its rows share in every table."""
        return {"budget": self.budget, "batch_size": self.batch_size}

    def part(self, table: DataFrame) -> DataFrame:
        """The rows of a table that belong to its budget and batch size."""
        here: DataFrame = table[in_cell(table, self.budget, self.batch_size)]
        return here


def standings(trials: DataFrame, question: Question, study: int = 0) -> list[Standing]:
    """One standing for each cell of a study: the smallest batch first, then the largest budget."""
    trials = completed(trials)
    metric = usable_metric(trials, question)
    trials = trials.assign(chance=_at_chance(trials, metric, question))
    trials = trials[trials["study"] == study]
    ended = trials[(trials["stage"] == "final") & trials["status"].notna()]
    cells = ended[["batch_size", "budget"]].drop_duplicates().to_numpy().tolist()
    found = []
    for batch_size, budget in sorted(cells, key=lambda cell: (cell[0], -cell[1])):
        here = ended[in_cell(ended, budget, batch_size, study)]
        others = [each for _, each in cells if each != budget]  # the rest are rungs of halving
        tried = trials[(trials["budget"] <= budget) & ~trials["budget"].isin(others)]
        tuned = tried[(tried["stage"] == "tune") & (tried["batch_size"] == batch_size)]
        present = here["schedule"].unique().tolist()
        names = dict.fromkeys([*(name for name in question.schedules if name in present), *present])
        entrants = [_entrant(name, here, tuned) for name in names]
        first = _standing(entrants, here, metric, question)
        order = best_first(first.verdicts, first.counts)
        found.append(_standing([entrants[i] for i in order], here, metric, question))
    return found


class Entrant(NamedTuple):
    """One schedule of a standing."""

    name: str
    lr: float
    edge: Edge
    finals: DataFrame


def _entrant(name: str, ended: DataFrame, tuned: DataFrame) -> Entrant:
    """With its finals at the LR with the most seeds: an extended run may also hold finals at an
    earlier best LR."""
    finals = ended[ended["schedule"] == name]
    tried = at_final_decay(tuned[tuned["schedule"] == name], finals)["lr"].to_numpy()
    lr = float(finals["lr"].mode()[0])
    return Entrant(name, lr, edge_of(lr, tried), finals[finals["lr"] == lr])


def _standing(
    entrants: Sequence[Entrant], ended: DataFrame, metric: MetricName, question: Question
) -> Standing:
    """The entrants in the given order; `ended` are the finals of their cell."""
    names, lrs, edges, finals = zip(*entrants, strict=True)
    seeds = np.unique(ended["seed"])
    if question.looks:
        seeds = np.arange(seeds[0], seeds[-1] + 1)
    values = np.full((len(names), len(seeds)), np.nan)
    done = np.zeros(values.shape, dtype=bool)
    for place, mine in enumerate(finals):
        good = mine[(mine["status"] == "done") & ~mine["chance"]]
        done[place, np.searchsorted(seeds, mine["seed"])] = True
        values[place, np.searchsorted(seeds, good["seed"])] = good[metric]
    done &= {*names} >= {*question.schedules}  # a look needs all schedules
    trained = np.array([len(mine) for mine in finals])
    collapsed = np.array([int(mine["chance"].sum()) for mine in finals])
    floor, sign = difference_floor(values, metric, question), direction(metric)
    course, looks = None, question.looks
    if looks is not None:
        racing = looks.race and question.reference in names
        base = names.index(question.reference) if racing else None
        course = race(values.T, done.T, looks, question.alpha, sign, floor, base)
    margin = question.margin_of(metric)
    return Standing(
        budget=int(ended["budget"].iloc[0]),
        batch_size=int(ended["batch_size"].iloc[0]),
        metric=metric,
        confidence=question.confidence,
        floor=floor,
        images=question.size(metric),
        names=names,
        lrs=np.array(lrs),
        edges=edges,
        seeds=seeds,
        values=values.T,
        failed=trained - np.isfinite(values).sum(axis=1) - collapsed,
        collapsed=collapsed,
        finals=finals,
        verdicts=judge(values.T, floor, question.alpha, sign, course=course, margin=margin),
    )


def usable_metric(trials: DataFrame, question: Question) -> MetricName:
    """The requested metric; where no final trial has it, plain accuracy, else the loss: a task may
    have no accuracy, or none per class."""
    asked = question.metric
    kind = asked.partition("_")[0]
    rivals = (asked, f"{kind}_accuracy", f"{kind}_loss") if is_accuracy(asked) else (asked,)
    finals = trials[trials["stage"] == "final"]
    usable = (name for name in rivals if not finals[name].isna().all())
    ended = trials[trials["train_loss"].notna()]
    none = is_accuracy(asked) and len(ended) and ended["val_accuracy"].isna().all()
    return cast(MetricName, next(usable, f"{kind}_loss" if none else asked))


def in_cell(columns: Any, budget: int, batch_size: int, study: int = 0) -> Any:
    """Which rows have this budget, batch size and study; takes a frame, or its columns."""
    cell = (columns["budget"] == budget) & (columns["batch_size"] == batch_size)
    return cell & (columns["study"] == study) if "study" in columns else cell


def at_final_decay(tuned: DataFrame, finals: DataFrame) -> DataFrame:
    """The tuning trials at the weight decay of the finals; without finals, all tuning trials."""
    return tuned[tuned["weight_decay"].isin(finals["weight_decay"])] if len(finals) else tuned


def _at_chance(trials: DataFrame, metric: MetricName, question: Question) -> Any:
    """True for trials that ended with accuracy at chance; all False if `classes` is unknown."""
    plain = "test_accuracy" if metric.startswith("test") else "val_accuracy"
    reached = trials[metric if is_accuracy(metric) else plain]
    images = question.size(metric) or MANY_IMAGES
    low = bool(question.classes) and at_chance(reached, question.classes or 0, images)
    return (trials["status"] == "done") & low


def edge_of(lr: float, tried: Floats) -> Edge:
    """
    >>> edge_of(0.2, np.array([0.1, 0.2])), edge_of(0.1, np.array([0.1]))
    ('high', '')
    """
    if len(np.unique(tried)) < 2 or tried.min() < lr < tried.max():
        return ""
    return "high" if lr >= tried.max() else "low"


def difference_floor(values: Floats, metric: MetricName, question: Question) -> float:
    """The smallest standard deviation of a difference of accuracies: that of two values rounded to
    whole images. If the number of images is unknown, the smallest step between two values stands
    for one image. Losses are not rounded: 0."""
    if not is_accuracy(metric):
        return 0.0
    size = question.size(metric)
    if size:
        return sd_floor(size)
    steps = np.diff(np.unique(values[np.isfinite(values)].round(12)))
    return float(steps.min()) / math.sqrt(6) if len(steps) else 0.0
