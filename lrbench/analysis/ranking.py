"""The ranking as a frame: a row for each schedule, budget and batch size, best first."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.corrections import Floats, rank_intervals
from lrbench.analysis.frames import completed
from lrbench.analysis.intervals import mean_interval
from lrbench.analysis.question import Question, direction
from lrbench.analysis.sensitivity import Grid, grids, loss_above_best, width_within_a_point
from lrbench.analysis.standing import Standing, standings
from lrbench.analysis.tidy import Column, frame


@dataclass(frozen=True, eq=False)
class Entry:
    """One schedule of a standing, from which the cells of its row are computed. `trials` are those
    of the standing's budget and batch size."""

    standing: Standing
    place: int
    trials: DataFrame
    grid: Grid | None

    @property
    def name(self) -> str:
        return self.standing.names[self.place]

    @property
    def finals(self) -> DataFrame:
        return self.standing.finals[self.place]

    @cached_property
    def done(self) -> DataFrame:
        """The schedule's final trials that ended well."""
        return self.finals[self.finals["status"] == "done"]

    @property
    def values(self) -> Floats:
        """The metric of each seed that has a value."""
        values = self.standing.values[:, self.place]
        return values[np.isfinite(values)]

    @cached_property
    def interval(self) -> tuple[float, float, float]:
        """(mean, sd, half-width of the mean's interval)"""
        return mean_interval(self.values, self.standing.floor, self.standing.confidence)

    @property
    def rank(self) -> int:
        """Its place; schedules with equal means share the best of their places."""
        wins, gains = self.standing.verdicts.wins, self.standing.verdicts.gains
        place = self.place
        while place and gains[place, place - 1] == 0 and wins[place] == wins[place - 1]:
            place -= 1
        return place + 1

    @property
    def rank_range(self) -> tuple[int, int]:
        low, high = rank_intervals(self.standing.verdicts.better)
        return int(low[self.place]), int(high[self.place])

    @property
    def worst(self) -> float:
        pick = min if direction(self.standing.metric) > 0 else max
        return float(pick(self.values.tolist(), default=math.nan))

    def of_pair(self, matrix: Floats) -> float:
        """A statistic of the paired difference from the best-ranked schedule; NaN for itself."""
        return float(matrix[self.place, 0]) if self.place else math.nan

    @property
    def diff_to_best(self) -> float:
        own = 0.0 if len(self.values) else math.nan
        return self.of_pair(self.standing.verdicts.pairs.mean) if self.place else own

    @property
    def wins(self) -> int | None:
        """The number of common seeds in which it beats the best-ranked schedule."""
        differences = self.standing.values[:, self.place] - self.standing.values[:, 0]
        ahead = int((direction(self.standing.metric) * differences > 0).sum())
        return ahead if self.place else None

    @property
    def tune_failed(self) -> int:
        trials = self.trials
        mine = trials[(trials["stage"] == "tune") & (trials["schedule"] == self.name)]
        return int(mine["status"].isin(["diverged", "failed"]).sum())

    def until(self, column: str) -> float:
        """The median over the seeds; a seed that never got there counts as infinite. NaN: never."""
        ended_well = self.finals["status"] == "done"
        middle = self.finals[column].where(ended_well).fillna(math.inf).median()
        return float(middle) if math.isfinite(middle) else math.nan


def _of_grid(measure: Callable[[Grid], float]) -> Callable[[Entry], float | None]:
    return lambda e: None if e.grid is None else measure(e.grid)


_MAIN: dict[str, Any] = {"view": "ranking"}
_MORE: dict[str, Any] = {"view": "details"}
RANKING = (
    Column("rank", "int64", "1 is best; equal means share a rank",
            title="rank", form="ranks", order=0, **_MAIN),
    Column("rank_low", "int64", "best rank it may have, corrected for all pairs",
            lambda e: e.rank_range[0]),
    Column("rank_high", "int64", "worst rank it may have", lambda e: e.rank_range[1]),
    Column("schedule", "object", "schedule, as a spec", lambda e: e.name,
            title="schedule", form="name", order=0, view="all"),
    Column("budget", "int64", "epochs", lambda e: e.standing.budget,
            title="epochs", several=True, order=0, view="all"),
    Column("lr", "float64", "learning rate of its final trials",
            lambda e: e.standing.lrs[e.place], title="LR", form=".3g", **_MAIN),
    Column("n", "int64", "final seeds that ended well", lambda e: len(e.values),
            title="seeds", form="seeds", order=2, **_MAIN),
    Column("n_common", "int64", "seeds that it and the best-ranked both have",
            lambda e: int(e.standing.verdicts.pairs.n[e.place, 0])),
    Column("failed", "int64", "final seeds that diverged or failed",
            lambda e: e.standing.failed[e.place]),
    Column("collapsed", "int64", "final seeds that ended at chance",
            lambda e: e.standing.collapsed[e.place]),
    Column("tune_failed", "int64", "tuning trials that diverged or failed"),
    Column("metric", "object", "metric used for ranking", lambda e: e.standing.metric),
    Column("metric_mean", "float64", "its mean over the seeds", lambda e: e.interval[0],
            title="{metric}", form="mean", **_MAIN),
    Column("metric_sd", "float64", "its standard deviation", lambda e: e.interval[1]),
    Column("ci_low", "float64", "t interval of the mean", lambda e: e.interval[0] - e.interval[2]),
    Column("ci_high", "float64", "its upper end", lambda e: e.interval[0] + e.interval[2]),
    Column("diff_to_best", "float64", "difference from the best-ranked, over common seeds",
            title="vs the best", form="gain", **_MAIN),
    Column("diff_sim_low", "float64", "its interval, simultaneous over all pairs",
            lambda e: e.of_pair(e.standing.verdicts.intervals.low)),
    Column("diff_sim_high", "float64", "its upper end",
            lambda e: e.of_pair(e.standing.verdicts.intervals.high)),
    Column("within", "float64", "largest possible difference from the best-ranked",
            lambda e: e.of_pair(e.standing.verdicts.intervals.within)),
    Column("wins", "Int64", "common seeds on which it is ahead of the best-ranked",
            title="wins", form="wins", **_MORE),
    Column("p_adjusted", "float64", "p-value of the difference, adjusted for all pairs",
            lambda e: e.of_pair(e.standing.verdicts.adjusted),
            title="p (all pairs)", form=".2g", view="page"),
    Column("test_accuracy_mean", "float64", "mean test accuracy",
            lambda e: e.done["test_accuracy"].mean()),
    Column("test_accuracy_sd", "float64", "its standard deviation",
            lambda e: e.done["test_accuracy"].std()),
    Column("val_auc", "float64", "mean height of the validation accuracy over the epochs",
            lambda e: e.done["val_auc"].mean(),
            title="val area", form=".3f", **_MORE),
    Column("lr_sensitivity", "float64", "mean validation loss above the best over the LR grid",
            _of_grid(loss_above_best), title="LR cost", form=".2g", **_MORE),
    Column("lr_width", "float64", "ratio of the LRs within 1 point of the best",
            _of_grid(width_within_a_point), title="LR width", form=".3gx", **_MORE),
    Column("worst_seed", "float64", "metric of the worst seed", lambda e: e.worst,
            title="worst seed", form="metric", **_MORE),
    Column("epochs_to_target", "float64", "median epochs to reach the target; lost seeds never do",
            lambda e: e.until("epochs_to_target"),
            title="target epochs", form=".1f", missing="never", **_MORE),
    Column("time_to_target_s", "float64", "median training seconds until the target",
            lambda e: e.until("time_to_target_s"),
            title="target seconds", form=".1f", missing="never", **_MORE),
    Column("throughput_img_s", "float64", "median images per second",
            lambda e: e.done["throughput_img_s"].median(),
            title="img/s", form=",.0f", **_MORE),
    Column("batch_size", "int64", "images in a batch", lambda e: e.standing.batch_size,
            title="batch", several=True, order=0, view="all"),
    Column("weight_decay", "float64", "weight decay of its final trials",
            lambda e: e.finals["weight_decay"].median(),
            title="weight decay", form=".3g", several=True, order=1, **_MAIN),
)  # fmt: skip


def rank(trials: DataFrame, question: Question) -> DataFrame:
    """A row for each schedule, budget and batch size, best first, from a frame like `trials.csv`;
    columns that it lacks count as missing."""
    trials = completed(trials)
    return ranking_frame(standings(trials, question), trials, question)


def ranking_frame(found: Sequence[Standing], trials: DataFrame, question: Question) -> DataFrame:
    return frame(_entries(found, trials, question), RANKING)


def _entries(found: Sequence[Standing], trials: DataFrame, question: Question) -> Iterator[Entry]:
    known = grids(trials, question)
    for standing in found:
        here = standing.part(trials)
        for place, name in enumerate(standing.names):
            grid = known.get((name, standing.budget, standing.batch_size))
            yield Entry(standing, place, here, grid)
