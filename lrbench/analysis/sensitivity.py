"""What is lost when the learning rate is off: accuracy and loss over each schedule's LR grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.corrections import Bools, Floats
from lrbench.analysis.question import Question
from lrbench.analysis.standing import at_final_decay, in_cell
from lrbench.analysis.tidy import Column, frame
from lrbench.plan.choice import Candidate, Choice

WIDTH_POINTS = 0.01


@dataclass(frozen=True)
class Grid:
    """A schedule's learning rates at one budget and batch size, rising; means over the trials that
    ended well, NaN where none did. `capped` is the mean loss, each capped at that of the untrained
    model, which a diverged trial counts with."""

    schedule: str
    budget: int
    batch_size: int
    lrs: Floats
    n: Floats
    failed: Floats
    accuracy: Floats
    val_loss: Floats
    capped: Floats


def grids(trials: DataFrame, question: Question) -> list[Grid]:
    """The grid of each schedule, budget and batch size: its tuning trials, or its finals where none
    were tuned. The loss at initialisation is the median over the trials that recorded one, and
    log(classes) where none did."""
    columns = {name: trials[name].to_numpy() for name in trials.columns}
    ended = trials["status"].notna().to_numpy()
    starts = columns["start_loss"][np.isfinite(columns["start_loss"])]
    classes = question.classes or 0
    start = float(np.median(starts)) if len(starts) else math.log(classes) if classes else math.nan
    names = ("schedule", "budget", "batch_size")
    keys = dict.fromkeys(zip(*(columns[name] for name in names), strict=True))
    found = []
    for schedule, budget, batch_size in keys:
        mine = ended & (columns["schedule"] == schedule) & in_cell(columns, budget, batch_size)
        final = mine & (columns["stage"] == "final")
        tuned = at_final_decay(columns, mine & (columns["stage"] == "tune"), final)
        rows = tuned if tuned.any() else mine
        if rows.any():
            cell = (str(schedule), int(budget), int(batch_size))
            found.append(_grid(cell, columns, rows, start))
    return found


def _grid(cell: tuple[str, int, int], columns: dict[str, Any], rows: Bools, start: float) -> Grid:
    lrs = np.unique(columns["lr"][rows])
    done = rows & (columns["status"] == "done")
    points = [(rows & (columns["lr"] == lr), done & (columns["lr"] == lr)) for lr in lrs]
    n = np.array([good.sum() for _, good in points], dtype=float)
    failed = np.array([there.sum() for there, _ in points], dtype=float) - n
    losses = np.fmin(np.where(done, columns["val_loss"], np.nan), start)
    return Grid(
        *cell,
        lrs,
        n,
        failed,
        np.array([mean_of(columns["val_accuracy"][good]) for _, good in points]),
        np.array([mean_of(columns["val_loss"][good]) for _, good in points]),
        np.array([mean_of(losses[there]) for there, _ in points]),
    )


def mean_of(values: Floats) -> float:
    """The mean of the values that are finite; NaN without any."""
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else math.nan


def expected_best(values: Floats, draws: int) -> float:
    """The expected maximum of so many draws, with replacement, from the values (Dodge et al. 2019,
    arXiv:1909.03004): what tuning over that many learning rates of a grid may be expected to reach.

    >>> round(expected_best(np.array([0.8, 0.9]), 1), 9), expected_best(np.array([0.9, 0.8]), 2)
    (0.85, 0.875)
    """
    ranks = np.arange(len(values) + 1) / len(values)
    return float(np.sort(values) @ np.diff(ranks**draws))


def loss_above_best(grid: Grid) -> float:
    """Mean over the grid of the capped validation loss, less the best of it (Wortsman et al. 2023,
    arXiv:2309.14322); NaN with fewer than two learning rates."""
    if len(grid.lrs) < 2 or not np.isfinite(grid.capped).all():
        return math.nan
    return float(grid.capped.mean() - grid.capped.min())


def width_within_a_point(grid: Grid) -> float:
    """Largest over smallest LR of the unbroken range, around the best LR, whose validation
    accuracies lie within 1 point of the best; 1 for a single LR."""
    if len(grid.lrs) < 2 or not np.isfinite(grid.accuracy).any():
        return math.nan
    best = int(np.nanargmax(grid.accuracy))
    near = grid.accuracy >= grid.accuracy[best] - WIDTH_POINTS - 1e-12
    first = last = best
    while first > 0 and near[first - 1]:
        first -= 1
    while last < len(near) - 1 and near[last + 1]:
        last += 1
    return float(grid.lrs[last] / grid.lrs[first])


@dataclass(frozen=True)
class AtLr:
    """What is known of one learning rate of a grid. `choice` is None where nothing was tuned, or
    tuning is not complete; `candidate` also where only shorter trainings reached it."""

    grid: Grid
    place: int
    choice: Choice | None

    @property
    def lr(self) -> float:
        return float(self.grid.lrs[self.place])

    @property
    def candidate(self) -> Candidate | None:
        known = self.choice.candidates if self.choice else ()
        return next((each for each in known if each.lr == self.lr), None)

    @property
    def chosen(self) -> bool:
        return self.choice.lr == self.lr if self.choice else len(self.grid.lrs) == 1


def _of_grid(name: str) -> Callable[[AtLr], Any]:
    return lambda row: getattr(row.grid, name)


def _at(name: str) -> Callable[[AtLr], Any]:
    return lambda row: getattr(row.grid, name)[row.place]


def _judged(name: str, unknown: float = math.nan) -> Callable[[AtLr], Any]:
    return lambda row: getattr(row.candidate, name) if row.candidate else unknown


SENSITIVITY = (
    Column("schedule", "object", "schedule, as a spec", _of_grid("schedule")),
    Column("budget", "int64", "epochs", _of_grid("budget")),
    Column("lr", "float64", "learning rate"),
    Column("n", "int64", "trials that ended well", _at("n")),
    Column("failed", "int64", "trials that did not", _at("failed")),
    Column("val_accuracy_mean", "float64", "mean over the trials that ended well", _at("accuracy")),
    Column("val_loss_mean", "float64", "mean over the trials that ended well", _at("val_loss")),
    Column(
        "collapsed", "int64", "tuning trials that failed or collapsed", _judged("collapsed", 0)
    ),
    Column(
        "curve", "float64", "mean of the metric over the others (minus the loss), shrunk to the "
        "curve of all schedules", _judged("curve"),
    ),
    Column(
        "risk", "float64", "chance that a trial collapses, pooled over the schedules",
        _judged("risk"),
    ),
    Column("score", "float64", "(1 - risk) x curve + risk x chance", _judged("score")),
    Column("chosen", "bool", "whether the final trials use it"),
    Column("batch_size", "int64", "images in a batch", _of_grid("batch_size")),
)  # fmt: skip


def sensitivity_frame(trials: DataFrame, question: Question) -> DataFrame:
    """One row per schedule, budget, batch size and learning rate, at the weight decay of the
    finals."""
    found = grids(trials, question)
    choices = [question.choices.get((g.schedule, g.budget, g.batch_size)) for g in found]
    rows = (
        AtLr(grid, place, choice)
        for grid, choice in zip(found, choices, strict=True)
        for place in range(len(grid.lrs))
    )
    return frame(rows, SENSITIVITY)
