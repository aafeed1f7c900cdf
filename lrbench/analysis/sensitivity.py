"""What is lost when the learning rate is off: accuracy and loss over each schedule's LR grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.analysis.columns import Column, frame
from lrbench.analysis.pairs import Bools, Floats
from lrbench.analysis.question import Question
from lrbench.analysis.standing import in_cell

if TYPE_CHECKING:
    from pandas import DataFrame

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
        tuned = mine & (columns["stage"] == "tune")
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


SENSITIVITY = (
    Column("schedule", "object", "schedule, as a spec", lambda row: row[0].schedule),
    Column("budget", "int64", "epochs", lambda row: row[0].budget),
    Column("lr", "float64", "learning rate", lambda row: row[0].lrs[row[1]]),
    Column("n", "int64", "trials that ended well", lambda row: row[0].n[row[1]]),
    Column("failed", "int64", "trials that did not", lambda row: row[0].failed[row[1]]),
    Column(
        "val_accuracy_mean", "float64", "mean over the trials that ended well",
        lambda row: row[0].accuracy[row[1]],
    ),
    Column(
        "val_loss_mean", "float64", "mean over the trials that ended well",
        lambda row: row[0].val_loss[row[1]],
    ),
    Column("batch_size", "int64", "images in a batch", lambda row: row[0].batch_size),
)  # fmt: skip


def sensitivity_frame(trials: DataFrame, question: Question) -> DataFrame:
    """One row per schedule, budget, batch size and learning rate."""
    rows = ((grid, place) for grid in grids(trials, question) for place in range(len(grid.lrs)))
    return frame(rows, SENSITIVITY)
