"""Who is ahead: the final trials of one budget and one batch size, best schedule first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrbench.analysis.frames import completed
from lrbench.analysis.pairs import Bools, Floats
from lrbench.analysis.question import MetricName, Question, direction, is_accuracy
from lrbench.analysis.verdicts import Verdicts, judge

if TYPE_CHECKING:
    from pandas import DataFrame

Arrays = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Standing:
    """The schedules of one budget and batch size, best first.

    `values` is seeds x schedules, NaN where a seed has no usable value; `failed` counts the final
    trials that ended without one; `rows` marks each schedule's finals in the frame of trials.
    `floor` is the least standard deviation that a difference is taken to have.
    """

    budget: int
    batch_size: int
    metric: MetricName
    confidence: float
    floor: float
    names: tuple[str, ...]
    lrs: Floats
    values: Floats
    failed: Ints
    rows: tuple[Bools, ...]
    verdicts: Verdicts

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The names of the groups that are told apart, best group first."""
        return tuple(tuple(self.names[i] for i in group) for group in self.verdicts.groups)

    @property
    def best(self) -> str | None:
        """The schedule that ranks first; None before a final trial ended well."""
        return self.names[0] if np.isfinite(self.values[:, 0]).any() else None

    @property
    def winner(self) -> str | None:
        """The schedule that is told apart from every other; None in a tie."""
        groups = self.groups
        return groups[0][0] if len(groups) > 1 and len(groups[0]) == 1 else None

    @property
    def seeds(self) -> int:
        """The seeds of the schedule that has most usable values."""
        return int(np.isfinite(self.values).sum(axis=0).max(initial=0))


def standings(trials: DataFrame, question: Question) -> list[Standing]:
    """One standing for each cell: the smallest batch first, and the largest budget of each."""
    trials = completed(trials)
    metric = usable_metric(trials, question)
    columns = {name: trials[name].to_numpy() for name in trials.columns}
    finals = (columns["stage"] == "final") & trials["status"].notna().to_numpy()
    cells = sorted(
        set(zip(columns["batch_size"][finals], columns["budget"][finals], strict=True)),
        key=lambda cell: (cell[0], -cell[1]),
    )
    return [
        _standing(int(budget), int(batch_size), metric, columns, finals, question)
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


def in_cell(columns: Any, budget: int, batch_size: int) -> Any:
    """Which rows are of that budget and batch size: of a frame, or of its columns."""
    return (columns["budget"] == budget) & (columns["batch_size"] == batch_size)


def _standing(
    budget: int,
    batch_size: int,
    metric: MetricName,
    columns: Arrays,
    finals: Bools,
    question: Question,
) -> Standing:
    finals = finals & in_cell(columns, budget, batch_size)
    here = [str(name) for name in dict.fromkeys(columns["schedule"][finals])]
    names = [*(name for name in question.schedules if name in here), *here]
    names = list(dict.fromkeys(names))
    rows = [_at_one_lr(finals & (columns["schedule"] == name), columns) for name in names]
    seeds = np.unique(columns["seed"][finals])
    values = np.full((len(seeds), len(names)), np.nan)
    for place, mine in enumerate(rows):
        good = mine & (columns["status"] == "done")
        values[np.searchsorted(seeds, columns["seed"][good]), place] = columns[metric][good]
    failed = np.array([mine.sum() for mine in rows]) - np.isfinite(values).sum(axis=0)

    order = _order(values, failed, direction(metric))
    values, failed = values[:, order], failed[order]
    floor = sd_floor(values, metric, question)
    return Standing(
        budget=budget,
        batch_size=batch_size,
        metric=metric,
        confidence=question.confidence,
        floor=floor,
        names=tuple(names[place] for place in order),
        lrs=np.array([float(columns["lr"][rows[place]][0]) for place in order]),
        values=values,
        failed=failed,
        rows=tuple(rows[place] for place in order),
        verdicts=judge(values, failed > 0, floor, question.alpha),
    )


def sd_floor(values: Floats, metric: MetricName, question: Question) -> float:
    """The least standard deviation of a difference of accuracies: 1 image / √12, that of a value
    rounded to whole images. Where the number of images is unknown, the smallest step between two
    values stands for one. Losses are not rounded: 0."""
    if not is_accuracy(metric):
        return 0.0
    size = question.size(metric)
    if size:
        return 1 / (size * math.sqrt(12))
    steps = np.diff(np.unique(values[np.isfinite(values)].round(12)))
    return float(steps.min()) / math.sqrt(12) if len(steps) else 0.0


def _at_one_lr(mine: Bools, columns: Arrays) -> Bools:
    """The finals of a schedule at the LR with most seeds: a run that was extended may also hold
    finals at an LR that was the best before."""
    lrs, counts = np.unique(columns["lr"][mine], return_counts=True)
    kept: Bools = mine & (columns["lr"] == lrs[np.argmax(counts)])
    return kept


def _order(values: Floats, failed: Ints, sign: int) -> list[int]:
    """Places from best to worst: without failures first, then by the mean, then as named."""
    means = means_of(values)

    def key(place: int) -> tuple[bool, bool, float]:
        mean = means[place]
        return failed[place] > 0, math.isnan(mean), 0.0 if math.isnan(mean) else -sign * mean

    return sorted(range(values.shape[1]), key=key)


def means_of(values: Floats) -> Sequence[float]:
    """Means over the seeds, exactly rounded, so that equal values in any order have equal means."""
    kept = [[value for value in column if math.isfinite(value)] for column in values.T.tolist()]
    return [math.fsum(column) / len(column) if column else math.nan for column in kept]
