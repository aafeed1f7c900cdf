"""The cost of a wrong learning rate: accuracy and loss over each schedule's LR grid."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.corrections import Floats
from lrbench.analysis.question import Question
from lrbench.analysis.standing import at_final_decay
from lrbench.analysis.tidy import BATCH_SIZE, BUDGET, SCHEDULE, Column, frame

WIDTH_POINTS = 0.01
GRID = (
    Column("lr", "float64", "learning rate"),
    Column("n", "int64", "trials that ended well"),
    Column("failed", "int64", "trials that did not"),
    Column("val_accuracy_mean", "float64", "mean over the trials that ended well"),
    Column("val_loss_mean", "float64", "mean over the trials that ended well"),
)
SENSITIVITY = (
    SCHEDULE,
    BUDGET,
    *GRID,
    Column("collapsed", "int64", "tuning trials that failed, or lost half of the best trial's "
           "gain over chance"),
    Column("curve", "float64", "mean of the metric over the other trials (minus the loss), shrunk "
           "towards the curve of all schedules"),
    Column("risk", "float64", "chance of such a trial, pooled over the schedules"),
    Column("score", "float64", "(1 - risk) x curve + risk x chance"),
    Column("chosen", "bool", "whether the final trials use it"),
    BATCH_SIZE,
)  # fmt: skip


Grid = dict[str, Floats]
"""The columns of `GRID`, one value per LR in increasing order; and `capped`, the mean loss with
each loss capped at that of the untrained model, which also stands for diverged trials."""


def grids(trials: DataFrame, question: Question) -> dict[Any, Grid]:
    """The grid of each schedule, budget and batch size: its tuning trials, or its finals if there
    was no tuning. The loss at initialisation is the median over the trials that recorded one, else
    log(classes)."""
    start, found = trials["start_loss"].median(), {}
    if math.isnan(start) and question.classes:
        start = math.log(question.classes)
    for key, every in trials.groupby(["schedule", "budget", "batch_size"], sort=False):
        ended = every[every["status"].notna() & (every["study"] == 0)]
        finals = ended[ended["stage"] == "final"]
        tuned = at_final_decay(ended[ended["stage"] == "tune"], finals)
        rows = tuned if len(tuned) else ended
        if len(rows):
            found[key] = _grid(rows, start)
    return found


def _grid(trials: DataFrame, start: float) -> Grid:
    names = ("lr", "val_accuracy", "val_loss")
    lrs, accuracy, loss = (trials[name].to_numpy(dtype=float) for name in names)
    done = (trials["status"] == "done").to_numpy()
    capped = np.fmin(np.where(done, loss, np.nan), start)
    points = [lrs == lr for lr in np.unique(lrs)]
    return {
        "lr": np.unique(lrs),
        "n": np.array([np.sum(here & done) for here in points]),
        "failed": np.array([np.sum(here & ~done) for here in points]),
        "val_accuracy_mean": np.array([mean_of(accuracy[here & done]) for here in points]),
        "val_loss_mean": np.array([mean_of(loss[here & done]) for here in points]),
        "capped": np.array([mean_of(capped[here]) for here in points]),
    }


def mean_of(values: Floats) -> float:
    """The mean of the finite values; NaN without any."""
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else math.nan


def expected_best(values: Floats, draws: int) -> float:
    """The expected maximum of `draws` values drawn with replacement (Dodge et al. 2019,
    arXiv:1909.03004): what tuning over that many learning rates of a grid can be expected to reach.

    >>> round(expected_best(np.array([0.8, 0.9]), 1), 9), expected_best(np.array([0.9, 0.8]), 2)
    (0.85, 0.875)
    """
    ranks = np.arange(len(values) + 1) / len(values)
    return float(np.sort(values) @ np.diff(ranks**draws))


def loss_above_best(grid: Grid) -> float:
    """Mean of the capped validation loss over the grid, minus its minimum (Wortsman et al. 2023,
    arXiv:2309.14322); NaN with fewer than two learning rates."""
    capped = grid["capped"]
    if len(capped) < 2 or not np.isfinite(capped).all():
        return math.nan
    return float(capped.mean() - capped.min())


def width_within_a_point(grid: Grid) -> float:
    """Ratio of the largest to the smallest LR in the unbroken range around the best LR whose
    validation accuracies are within 1 point of the best; 1 for a single LR."""
    lrs, accuracy = grid["lr"], grid["val_accuracy_mean"]
    if len(lrs) < 2 or np.isnan(accuracy).all():
        return math.nan
    best = int(np.nanargmax(accuracy))
    far = np.flatnonzero(~(accuracy >= accuracy[best] - WIDTH_POINTS - 1e-12))
    first = far[far < best].max(initial=-1) + 1
    last = far[far > best].min(initial=len(lrs)) - 1
    return float(lrs[last] / lrs[first])


def sensitivity_frame(trials: DataFrame, question: Question) -> DataFrame:
    """One row per schedule, budget, batch size and learning rate, at the weight decay of the
    finals, with its tuning score."""
    return frame(_rows(trials, question), SENSITIVITY)


def _rows(trials: DataFrame, question: Question) -> Iterator[dict[str, Any]]:
    unknown = {"collapsed": 0, "curve": math.nan, "risk": math.nan, "score": math.nan}
    for key, grid in grids(trials, question).items():
        choice = question.choices.get(key)
        known = {each.lr: each for each in choice.candidates} if choice else {}
        for place, lr in enumerate(grid["lr"].tolist()):
            yield {
                **dict(zip(("schedule", "budget", "batch_size"), key, strict=True)),
                **{name: column[place] for name, column in grid.items()},
                **{name: getattr(known.get(lr), name, none) for name, none in unknown.items()},
                "chosen": lr == choice.lr if choice else len(grid["lr"]) == 1,
            }
