"""Two runs side by side: what each schedule gains or loses from one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.analysis.frames import frame
from lrbench.analysis.pairs import Floats, compare_pairs, holm, mean_interval
from lrbench.analysis.question import direction
from lrbench.analysis.standing import Standing
from lrbench.analysis.summary import Summary
from lrbench.analysis.words import verdict

if TYPE_CHECKING:
    from pandas import DataFrame

VERSUS_TYPES = {
    "schedule": "object",
    "budget_a": "int64",
    "budget_b": "int64",
    "batch_size_a": "int64",
    "batch_size_b": "int64",
    "lr_a": "float64",
    "lr_b": "float64",
    "metric": "object",
    "mean_a": "float64",
    "mean_b": "float64",
    "n": "int64",
    "diff": "float64",
    "diff_ci_low": "float64",
    "diff_ci_high": "float64",
    "p_adjusted": "float64",
    "verdict": "object",
}


def versus(a: Summary, b: Summary) -> DataFrame:
    """A row for each schedule of both runs, over the seeds that both have: its mean in each, and
    the difference B - A with its paired t interval; Holm over the schedules.

    Rankings meet by budget and batch size; where each run has but one, those two meet whatever
    they are. The verdict is on B: `better`, `worse`, `tie`, or empty where fewer than two seeds
    are common. Empty where the two do not rank by the same metric.
    """
    if a.metric != b.metric:
        return frame((), VERSUS_TYPES)
    rows = [
        row for mine, theirs in _met(a.standings, b.standings) for row in _rows(a, mine, b, theirs)
    ]
    adjusted = holm(np.array([row.pop("p") for row in rows], dtype=float))
    for row, p in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = p
        row["verdict"] = verdict(row["diff"] * direction(a.metric), p, a.question.alpha)
    return frame(rows, VERSUS_TYPES)


def _met(
    mine: tuple[Standing, ...], theirs: tuple[Standing, ...]
) -> list[tuple[Standing, Standing]]:
    if len(mine) == len(theirs) == 1:
        return [(mine[0], theirs[0])]
    cells = {(each.budget, each.batch_size): each for each in theirs}
    return [
        (each, cells[each.budget, each.batch_size])
        for each in mine
        if (each.budget, each.batch_size) in cells
    ]


def _rows(a: Summary, mine: Standing, b: Summary, theirs: Standing) -> list[dict[str, Any]]:
    floor = max(mine.floor, theirs.floor)
    return [
        {
            "schedule": name,
            "budget_a": mine.budget,
            "budget_b": theirs.budget,
            "batch_size_a": mine.batch_size,
            "batch_size_b": theirs.batch_size,
            "lr_a": mine.lrs[mine.names.index(name)],
            "lr_b": theirs.lrs[theirs.names.index(name)],
            "metric": a.metric,
            **_difference(
                _by_seed(a, mine, name), _by_seed(b, theirs, name), floor, mine.confidence
            ),
        }
        for name in mine.names
        if name in theirs.names
    ]


def _by_seed(summary: Summary, standing: Standing, name: str) -> dict[int, float]:
    """The metric of a schedule's final trials that ended well, by seed."""
    trials = summary.trials[standing.rows[standing.names.index(name)]]
    done = trials[trials["status"] == "done"]
    return dict(zip(done["seed"].tolist(), done[standing.metric].tolist(), strict=True))


def _difference(
    a: dict[int, float], b: dict[int, float], floor: float, confidence: float
) -> dict[str, Any]:
    both = sorted(set(a) & set(b))
    values: Floats = np.array([[b[seed], a[seed]] for seed in both], dtype=float).reshape(-1, 2)
    pairs = compare_pairs(values, floor, confidence)
    mean, half, p = (float(part[0, 1]) for part in (pairs.mean, pairs.half, pairs.p))
    return {
        "mean_a": mean_interval(values[:, 1], 0.0, confidence)[0],
        "mean_b": mean_interval(values[:, 0], 0.0, confidence)[0],
        "n": len(both),
        "diff": mean,
        "diff_ci_low": mean - half,
        "diff_ci_high": mean + half,
        "p": p,
    }
