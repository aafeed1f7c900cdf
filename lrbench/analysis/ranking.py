"""The ranking as a frame: a row for each schedule, budget and batch size, best first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.analysis.frames import completed, frame
from lrbench.analysis.pairs import Floats, mean_interval
from lrbench.analysis.power import seeds_needed
from lrbench.analysis.question import Question, direction
from lrbench.analysis.sensitivity import (
    Grid,
    grids,
    loss_above_best,
    mean_of,
    width_within_a_point,
)
from lrbench.analysis.standing import Columns, Ints, Standing, means_of, standings
from lrbench.analysis.target import AREA

if TYPE_CHECKING:
    from pandas import DataFrame

RANKING_TYPES = {
    "rank": "int64",
    "group": "object",
    "schedule": "object",
    "budget": "int64",
    "lr": "float64",
    "n": "int64",
    "failed": "int64",
    "metric": "object",
    "metric_mean": "float64",
    "metric_sd": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "diff_to_best": "float64",
    "diff_ci_low": "float64",
    "diff_ci_high": "float64",
    "p_adjusted": "float64",
    "test_accuracy_mean": "float64",
    "test_accuracy_sd": "float64",
    "val_auc": "float64",
    "lr_sensitivity": "float64",
    "lr_width": "float64",
    "worst_seed": "float64",
    "epochs_to_target": "float64",
    "time_to_target_s": "float64",
    "throughput_img_s": "float64",
    "generalisation_gap": "float64",
    "seeds_needed": "Int64",
    "batch_size": "int64",
}


def rank(trials: DataFrame, question: Question) -> DataFrame:
    """A row for each schedule, budget and batch size, best first, from a frame like `trials.csv`.

    Columns that the frame lacks count as missing. Intervals are t intervals at the question's
    confidence; `diff_to_best` is this row less the best-ranked one, over the seeds that both have,
    and its interval is not corrected for looking at many; `p_adjusted` is, by Holm over all pairs.
    """
    trials = completed(trials)
    return ranking_frame(standings(trials, question), trials, question)


def ranking_frame(found: Sequence[Standing], trials: DataFrame, question: Question) -> DataFrame:
    columns = {name: trials[name].to_numpy() for name in trials.columns}
    by_name = {
        (grid.schedule, grid.budget, grid.batch_size): grid for grid in grids(trials, question)
    }
    return frame(
        (row for standing in found for row in _ranking_rows(standing, columns, by_name, question)),
        RANKING_TYPES,
    )


def _ranking_rows(
    standing: Standing,
    columns: Columns,
    by_name: dict[tuple[str, int, int], Grid],
    question: Question,
) -> list[dict[str, Any]]:
    means = means_of(standing.values)
    ranks = _ranks(means, standing.failed)
    return [
        {
            "rank": ranks[place],
            "group": standing.letters[place] or None,
            "schedule": name,
            "budget": standing.budget,
            "batch_size": standing.batch_size,
            "lr": standing.lrs[place],
            "failed": standing.failed[place],
            "metric": standing.metric,
            **_value_cells(standing, place),
            **_difference_cells(standing, place, question),
            **_other_cells(standing, place, columns),
            **_sensitivity_cells(by_name.get((name, standing.budget, standing.batch_size))),
        }
        for place, name in enumerate(standing.names)
    ]


def _ranks(means: Sequence[float], failed: Ints) -> list[int]:
    """1, 2, …; those with equal means share the better rank."""
    ranks: list[int] = []
    for place, mean in enumerate(means):
        tied = place > 0 and mean == means[place - 1] and not failed[place - 1 : place + 1].any()
        ranks.append(ranks[-1] if tied else place + 1)
    return ranks


def _value_cells(standing: Standing, place: int) -> dict[str, Any]:
    values = standing.values[:, place]
    kept = values[np.isfinite(values)]
    mean, sd, half = mean_interval(values, standing.floor, standing.confidence)
    worst = min if direction(standing.metric) > 0 else max
    return {
        "n": len(kept),
        "metric_mean": mean,
        "metric_sd": sd,
        "ci_low": mean - half,
        "ci_high": mean + half,
        "worst_seed": worst(kept.tolist(), default=math.nan),
    }


def _difference_cells(standing: Standing, place: int, question: Question) -> dict[str, Any]:
    """Against the best-ranked schedule, whose own row is 0 without an interval."""
    if place == 0:
        return {"diff_to_best": 0.0 if np.isfinite(standing.values[:, 0]).any() else math.nan}
    pairs = standing.pairs
    mean, half, sd = (float(part[place, 0]) for part in (pairs.mean, pairs.half, pairs.sd))
    return {
        "diff_to_best": mean,
        "diff_ci_low": mean - half,
        "diff_ci_high": mean + half,
        "p_adjusted": standing.adjusted[place, 0],
        "seeds_needed": seeds_needed(mean, sd, question.alpha / max(1, standing.tests)),
    }


def _other_cells(standing: Standing, place: int, columns: Columns) -> dict[str, Any]:
    done = standing.rows[place] & (columns["status"] == "done")
    accuracy, accuracy_sd, _ = mean_interval(columns["test_accuracy"][done], 0.0, 0.95)
    ended = standing.rows[place]
    reached = {
        name: _median_or_never(np.where(done, columns[name], np.nan)[ended])
        for name in ("epochs_to_target", "time_to_target_s")
    }
    gaps = columns["train_accuracy"][done] - columns["val_accuracy"][done]
    return {
        "test_accuracy_mean": accuracy,
        "test_accuracy_sd": accuracy_sd,
        "val_auc": mean_of(columns[AREA][done]),
        "throughput_img_s": _median(columns["throughput_img_s"][done]),
        "generalisation_gap": mean_of(gaps),
        **reached,
    }


def _sensitivity_cells(grid: Grid | None) -> dict[str, float]:
    if grid is None:
        return {}
    return {"lr_sensitivity": loss_above_best(grid), "lr_width": width_within_a_point(grid)}


def _median_or_never(values: Floats) -> float:
    """The median over the seeds, where a seed that never got there took for ever; NaN: never."""
    middle = float(np.median(np.where(np.isfinite(values), values, np.inf))) if len(values) else 0.0
    return middle if math.isfinite(middle) and len(values) else math.nan


def _median(values: Floats) -> float:
    kept = values[np.isfinite(values)]
    return float(np.median(kept)) if len(kept) else math.nan
