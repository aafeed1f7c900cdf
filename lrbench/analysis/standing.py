"""Who is ahead: the final trials of one budget and one batch size, best schedule first."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from lrbench.analysis.corrections import Bools, Floats
from lrbench.analysis.evidence import at_chance
from lrbench.analysis.frames import completed
from lrbench.analysis.intervals import sd_floor
from lrbench.analysis.question import MetricName, Question, direction, is_accuracy
from lrbench.analysis.racing import race
from lrbench.analysis.verdicts import Verdicts, best_first, judge

Arrays = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]
MANY_IMAGES = 10**9


@dataclass(frozen=True, eq=False)
class Standing:
    """The schedules of one budget and batch size, best first.

    `values` is seeds x schedules, NaN where a seed has no usable value. Of the final trials that
    ended without one, `failed` counts those that diverged or failed and `collapsed` those that
    ended at chance. `rows` marks each schedule's finals in the frame of trials. `floor` is the
    least standard deviation that a difference is taken to have, `images` what the metric is
    measured on. `edges` says which LRs lie on the edge of what was tried.
    """

    budget: int
    batch_size: int
    metric: MetricName
    confidence: float
    floor: float
    images: int | None
    names: tuple[str, ...]
    lrs: Floats
    edges: tuple[str, ...]
    seeds: Ints
    values: Floats
    failed: Ints
    collapsed: Ints
    rows: tuple[Bools, ...]
    verdicts: Verdicts

    @property
    def counts(self) -> Ints:
        """The usable seeds of each schedule."""
        return np.asarray(np.isfinite(self.values).sum(axis=0))

    @property
    def lost(self) -> Ints:
        """The final trials of each schedule that have no usable value."""
        return self.failed + self.collapsed

    @property
    def best(self) -> str | None:
        """The schedule that ranks first; None before a final trial ended well."""
        return self.names[0] if self.counts[0] else None

    @property
    def winner(self) -> str | None:
        """The schedule that is told to be better than every other; None without one."""
        alone = len(self.names) > 1 and bool(self.verdicts.better[0, 1:].all())
        return self.names[0] if alone else None

    @property
    def apart(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The pairs told apart: each schedule that is better than any, with those it is."""
        found = ((i, np.flatnonzero(row)) for i, row in enumerate(self.verdicts.better))
        return tuple((self.names[i], tuple(self.names[j] for j in row)) for i, row in found
                     if len(row))  # fmt: skip


def standings(trials: DataFrame, question: Question, study: int = 0) -> list[Standing]:
    """One standing for each cell of a study: the smallest batch first, and the largest budget of
    each."""
    trials = completed(trials)
    metric = usable_metric(trials, question)
    columns = {name: trials[name].to_numpy() for name in trials.columns}
    finals = (columns["stage"] == "final") & trials["status"].notna().to_numpy()
    finals = finals & (columns["study"] == study)
    cells = sorted(
        set(zip(columns["batch_size"][finals], columns["budget"][finals], strict=True)),
        key=lambda cell: (cell[0], -cell[1]),
    )
    return [
        _standing((int(budget), int(batch_size), study), metric, columns, finals, question)
        for batch_size, budget in cells
    ]


def usable_metric(trials: DataFrame, question: Question) -> MetricName:
    """The metric that was asked for; where no final trial has it, the plain accuracy or else the
    loss: a task need not measure an accuracy, or not for each class."""
    asked = question.metric
    test = asked.startswith("test")
    accuracy: MetricName = "test_accuracy" if test else "val_accuracy"
    loss: MetricName = "test_loss" if test else "val_loss"
    rivals = (asked, accuracy, loss) if is_accuracy(asked) else (asked,)
    finals = trials[trials["stage"] == "final"]
    return next((name for name in rivals if not finals[name].isna().all()), asked)


def in_cell(columns: Any, budget: int, batch_size: int, study: int = 0) -> Any:
    """Which rows are of that budget, batch size and study: of a frame, or of its columns."""
    cell = (columns["budget"] == budget) & (columns["batch_size"] == batch_size)
    return cell & (columns["study"] == study) if "study" in columns else cell


def at_final_decay(columns: Any, tuned: Bools, finals: Bools) -> Bools:
    """The tuning trials at the weight decay of the finals; all of them before there are any."""
    decays = columns["weight_decay"]
    return tuned & np.isin(decays, decays[finals]) if finals.any() else tuned


def _standing(
    where: tuple[int, int, int],
    metric: MetricName,
    columns: Arrays,
    finals: Bools,
    question: Question,
) -> Standing:
    budget, batch_size, _ = where
    cell = in_cell(columns, *where)
    finals = finals & cell
    here = dict.fromkeys(map(str, columns["schedule"][finals]))
    names = [*dict.fromkeys([*(name for name in question.schedules if name in here), *here])]
    rows = [_at_one_lr(finals & (columns["schedule"] == name), columns) for name in names]
    seeds = np.unique(columns["seed"][finals])
    if question.looks:
        seeds = np.arange(seeds[0], seeds[-1] + 1)
    chance = _at_chance(columns, metric, question)
    values = np.full((len(seeds), len(names)), np.nan)
    done = np.zeros(values.shape, dtype=bool)
    for place, mine in enumerate(rows):
        done[np.searchsorted(seeds, columns["seed"][mine]), place] = True
        good = mine & (columns["status"] == "done") & ~chance
        values[np.searchsorted(seeds, columns["seed"][good]), place] = columns[metric][good]
    done &= here.keys() >= {*question.schedules}  # a look is at all of them
    usable = np.isfinite(values).sum(axis=0)
    collapsed = np.array([int((mine & chance).sum()) for mine in rows], dtype=np.int64)
    failed = np.array([int(mine.sum()) for mine in rows], dtype=np.int64) - usable - collapsed
    lrs = [float(columns["lr"][mine][0]) for mine in rows]
    tuned = cell & (columns["stage"] == "tune")

    def of(name: str) -> Bools:
        mine: Bools = columns["schedule"] == name
        return mine

    edges = [
        edge_of(lr, columns["lr"][at_final_decay(columns, tuned & of(name), finals & of(name))])
        for name, lr in zip(names, lrs, strict=True)
    ]

    floor, sign = difference_floor(values, metric, question), direction(metric)

    def judged(order: list[int]) -> Verdicts:
        course, looks = None, question.looks
        if looks is not None:
            known = [names[place] for place in order]
            base = known.index(question.reference) if question.reference in known else None
            course = race(
                values[:, order], done[:, order], looks, question.alpha, sign, floor,
                base if looks.race else None,
            )  # fmt: skip
        margin = question.margin_of(metric)
        return judge(values[:, order], floor, question.alpha, sign, course=course, margin=margin)

    order = best_first(judged(list(range(len(names)))), usable)
    return Standing(
        budget=budget,
        batch_size=batch_size,
        metric=metric,
        confidence=question.confidence,
        floor=floor,
        images=question.size(metric),
        names=tuple(names[place] for place in order),
        lrs=np.array([lrs[place] for place in order]),
        edges=tuple(edges[place] for place in order),
        seeds=seeds,
        values=values[:, order],
        failed=failed[order],
        collapsed=collapsed[order],
        rows=tuple(rows[place] for place in order),
        verdicts=judged(order),
    )


def _at_chance(columns: Arrays, metric: MetricName, question: Question) -> Bools:
    """Trials that ended with an accuracy at chance; none where the classes are unknown."""
    reached = columns["test_accuracy" if metric.startswith("test") else "val_accuracy"]
    done = columns["status"] == "done"
    if not question.classes:
        return np.zeros(len(done), dtype=bool)
    images = question.size(metric) or MANY_IMAGES
    low = [at_chance(accuracy, question.classes, images) for accuracy in reached]
    return np.asarray(done & np.array(low, dtype=bool))


def edge_of(lr: float, tried: Floats) -> str:
    """
    >>> edge_of(0.2, np.array([0.1, 0.2])), edge_of(0.1, np.array([0.1]))
    ('the highest of its grid', '')
    """
    if len(np.unique(tried)) < 2 or tried.min() < lr < tried.max():
        return ""
    return "the highest of its grid" if lr >= tried.max() else "the lowest of its grid"


def difference_floor(values: Floats, metric: MetricName, question: Question) -> float:
    """The least standard deviation of a difference of accuracies, that of two values rounded to
    whole images. Where the number of images is unknown, the smallest step between two values stands
    for one. Losses are not rounded: 0."""
    if not is_accuracy(metric):
        return 0.0
    size = question.size(metric)
    if size:
        return sd_floor(size)
    steps = np.diff(np.unique(values[np.isfinite(values)].round(12)))
    return float(steps.min()) / math.sqrt(6) if len(steps) else 0.0


def _at_one_lr(mine: Bools, columns: Arrays) -> Bools:
    """The finals of a schedule at the LR with most seeds: a run that was extended may also hold
    finals at an LR that was the best before."""
    lrs, counts = np.unique(columns["lr"][mine], return_counts=True)
    kept: Bools = mine & (columns["lr"] == lrs[np.argmax(counts)])
    return kept
