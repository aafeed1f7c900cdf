"""Who is ahead, and who cannot be told apart: the statistics of the final trials of a cell, that is
of one budget and one batch size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrbench.analysis.frames import completed
from lrbench.analysis.pairs import Bools, Floats, Pairs, compare_pairs, holm_all_pairs
from lrbench.analysis.question import MetricName, Question, direction, is_accuracy

if TYPE_CHECKING:
    from pandas import DataFrame

Columns = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Standing:
    """The schedules of one budget and batch size, best first.

    `values` is seeds x schedules, NaN where a seed has no usable value; `failed` counts the final
    trials that ended without one. `letters` names the group of each schedule; it is empty where
    nothing can be told: with fewer than two seeds, or where a seed failed. `adjusted` holds
    p-values after Holm over all pairs of schedules without failures.
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
    pairs: Pairs
    adjusted: Floats
    letters: tuple[str, ...]
    rows: tuple[Bools, ...]

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The names that share a letter, best group first."""
        together: dict[str, list[str]] = {}
        for name, letter in zip(self.names, self.letters, strict=True):
            if letter:
                together.setdefault(letter, []).append(name)
        return tuple(tuple(names) for names in together.values())

    @property
    def tests(self) -> int:
        """How many pairs the correction is for."""
        return int(np.isfinite(self.adjusted).sum()) // 2


def usable_metric(trials: DataFrame, question: Question) -> MetricName:
    """The metric that was asked for, or the accuracy or the loss beside it where no final trial
    has that one: a task need not know an accuracy, or not for each class."""
    asked = question.metric
    test = asked.startswith("test")
    accuracy: MetricName = "test_accuracy" if test else "val_accuracy"
    loss: MetricName = "test_loss" if test else "val_loss"
    rivals = (asked, accuracy, loss) if is_accuracy(asked) else (asked,)
    finals = trials[trials["stage"] == "final"]
    return next((name for name in rivals if not finals[name].isna().all()), asked)


def standings(trials: DataFrame, question: Question) -> list[Standing]:
    """One standing for each cell: the smallest batch first, and the largest budget of each."""
    trials = completed(trials)
    metric = usable_metric(trials, question)
    columns = {name: trials[name].to_numpy() for name in trials.columns}
    finals = (columns["stage"] == "final") & trials["status"].notna().to_numpy()
    cells = {
        (int(batch_size), int(budget))
        for batch_size, budget in zip(
            columns["batch_size"][finals], columns["budget"][finals], strict=True
        )
    }
    return [
        _standing(
            budget,
            batch_size,
            metric,
            columns,
            finals & in_cell(columns, budget, batch_size),
            question,
        )
        for batch_size, budget in sorted(cells, key=lambda cell: (cell[0], -cell[1]))
    ]


def in_cell(columns: Any, budget: int, batch_size: int) -> Any:
    """Which rows are of that budget and batch size: of a frame, or of its columns."""
    return (columns["budget"] == budget) & (columns["batch_size"] == batch_size)


def _standing(
    budget: int,
    batch_size: int,
    metric: MetricName,
    columns: Columns,
    finals: Bools,
    question: Question,
) -> Standing:
    here = [str(name) for name in dict.fromkeys(columns["schedule"][finals])]
    asked = [name for name in question.schedules if name in here]
    names = list(dict.fromkeys([*asked, *here]))
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
    pairs = compare_pairs(values, floor, question.confidence)
    sound = failed == 0
    adjusted = holm_all_pairs(np.where(sound[:, None] & sound[None, :], pairs.p, np.nan))
    return Standing(
        budget,
        batch_size,
        metric,
        question.confidence,
        floor,
        tuple(names[place] for place in order),
        np.array([float(columns["lr"][rows[place]][0]) for place in order]),
        values,
        failed,
        pairs,
        adjusted,
        _letters(adjusted, sound & (np.isfinite(values).sum(axis=0) >= 2), question.alpha),
        tuple(rows[place] for place in order),
    )


def sd_floor(values: Floats, metric: MetricName, question: Question) -> float:
    """The least standard deviation of a difference of accuracies: 1 image / √12, that of a value
    rounded to whole images. Where their number is not known, the smallest step between two values
    stands for one image. Losses are not rounded: 0."""
    if not is_accuracy(metric):
        return 0.0
    size = question.size(metric)
    if size:
        return 1 / (size * math.sqrt(12))
    steps = np.diff(np.unique(values[np.isfinite(values)].round(12)))
    return float(steps.min()) / math.sqrt(12) if len(steps) else 0.0


def _at_one_lr(mine: Bools, columns: Columns) -> Bools:
    """The finals of a schedule at its LR. A run that was extended may hold finals at an LR that
    was the best before: those at the LR with most seeds count."""
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


def means_of(values: Floats) -> list[float]:
    """Means over the seeds, exactly rounded, so that equal values in any order have equal means."""
    kept = [[value for value in column if math.isfinite(value)] for column in values.T.tolist()]
    return [math.fsum(column) / len(column) if column else math.nan for column in kept]


def _letters(adjusted: Floats, judged: Bools, alpha: float) -> tuple[str, ...]:
    """Each schedule that stands in no group yet founds the next one; those behind it that are in
    none, and that it cannot be told apart from, share its letter. None with fewer than two."""
    letters = [""] * len(judged)
    if judged.sum() < 2:
        return tuple(letters)
    count = 0
    for founder in np.flatnonzero(judged):
        if letters[founder]:
            continue
        letter = _letter(count)
        count += 1
        for place in range(founder, len(judged)):
            # No test (too few common seeds) is no difference.
            apart = adjusted[founder, place] < alpha
            if judged[place] and not letters[place] and not apart:
                letters[place] = letter
    return tuple(letters)


def _letter(count: int) -> str:
    """a … z, then aa, ab, … as spreadsheets name their columns.

    >>> _letter(0), _letter(25), _letter(26)
    ('a', 'z', 'aa')
    """
    before = _letter(count // 26 - 1) if count >= 26 else ""
    return before + chr(ord("a") + count % 26)
