"""The ranking as a frame: a row for each schedule, budget and batch size, best first."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.corrections import Bools, Floats, rank_intervals
from lrbench.analysis.frames import completed
from lrbench.analysis.intervals import mean_interval
from lrbench.analysis.question import Question, direction
from lrbench.analysis.sensitivity import (
    Grid,
    grids,
    loss_above_best,
    mean_of,
    width_within_a_point,
)
from lrbench.analysis.standing import Arrays, Standing, in_cell, standings
from lrbench.analysis.tidy import Column, frame


@dataclass(frozen=True, eq=False)
class Entry:
    """A schedule of a standing: what the cells of its row are computed from."""

    standing: Standing
    place: int
    rank: int
    trials: Arrays
    grid: Grid | None

    @cached_property
    def done(self) -> Bools:
        """Its final trials that ended well, in the frame of trials."""
        done: Bools = self.standing.rows[self.place] & (self.trials["status"] == "done")
        return done

    @cached_property
    def values(self) -> Floats:
        """The metric of each seed that has one."""
        values = self.standing.values[:, self.place]
        return values[np.isfinite(values)]

    @cached_property
    def interval(self) -> tuple[float, float, float]:
        """(mean, sd, half-width of the mean's interval)."""
        standing = self.standing
        return mean_interval(standing.values[:, self.place], standing.floor, standing.confidence)

    @property
    def rank_range(self) -> tuple[int, int]:
        low, high = rank_intervals(self.standing.verdicts.better)
        return int(low[self.place]), int(high[self.place])

    @property
    def worst(self) -> float:
        pick = min if direction(self.standing.metric) > 0 else max
        return float(pick(self.values.tolist(), default=math.nan))

    def of_pair(self, matrix: Floats) -> float:
        """A statistic of the paired difference to the best-ranked schedule; NaN for its own."""
        return float(matrix[self.place, 0]) if self.place else math.nan

    @property
    def diff_to_best(self) -> float:
        own = 0.0 if len(self.values) else math.nan
        return self.of_pair(self.standing.verdicts.pairs.mean) if self.place else own

    @property
    def n_common(self) -> int:
        """Seeds that it and the best-ranked both have."""
        return int(self.standing.verdicts.pairs.n[self.place, 0])

    @property
    def wins(self) -> int | None:
        """On how many of these it is ahead of the best-ranked."""
        if not self.place:
            return None
        differences = self.standing.values[:, self.place] - self.standing.values[:, 0]
        return int((direction(self.standing.metric) * differences > 0).sum())

    @property
    def tune_failed(self) -> int:
        standing, trials = self.standing, self.trials
        mine = (trials["stage"] == "tune") & (trials["schedule"] == standing.names[self.place])
        mine = mine & in_cell(trials, standing.budget, standing.batch_size)
        return int(np.isin(trials["status"][mine], ["diverged", "failed"]).sum())

    def median_or_never(self, column: str) -> float:
        """The median over the seeds, one that never got there counting as infinite; NaN: never."""
        ended = self.standing.rows[self.place]
        values = np.where(self.done, self.trials[column], np.nan)[ended]
        middle = float(np.median(np.where(np.isfinite(values), values, np.inf)))
        return middle if math.isfinite(middle) else math.nan


def _of_grid(measure: Callable[[Grid], float]) -> Callable[[Entry], float | None]:
    return lambda e: None if e.grid is None else measure(e.grid)


def _median(values: Floats) -> float:
    kept = values[np.isfinite(values)]
    return float(np.median(kept)) if len(kept) else math.nan


_MAIN: dict[str, Any] = {"view": "ranking"}
_MORE: dict[str, Any] = {"view": "details"}
RANKING = (
    Column("rank", "int64", "1 is best; equal means share a rank", lambda e: e.rank,
            title="rank", form="ranks", order=0, **_MAIN),
    Column("rank_low", "int64", "best rank that it may have, all pairs counted",
            lambda e: e.rank_range[0]),
    Column("rank_high", "int64", "worst rank that it may have", lambda e: e.rank_range[1]),
    Column("schedule", "object", "schedule, as a spec", lambda e: e.standing.names[e.place],
            title="schedule", form="name", order=0, view="all"),
    Column("budget", "int64", "epochs", lambda e: e.standing.budget,
            title="epochs", several=True, order=0, view="all"),
    Column("lr", "float64", "learning rate of its final trials",
            lambda e: e.standing.lrs[e.place], title="LR", form=".3g", **_MAIN),
    Column("n", "int64", "final seeds that ended well", lambda e: len(e.values),
            title="seeds", form="seeds", order=2, **_MAIN),
    Column("n_common", "int64", "seeds that it and the best-ranked both have",
            lambda e: e.n_common),
    Column("failed", "int64", "final seeds that diverged or failed",
            lambda e: e.standing.failed[e.place]),
    Column("collapsed", "int64", "final seeds that ended at chance",
            lambda e: e.standing.collapsed[e.place]),
    Column("tune_failed", "int64", "tuning trials that diverged or failed",
            lambda e: e.tune_failed),
    Column("metric", "object", "metric that ranks", lambda e: e.standing.metric),
    Column("metric_mean", "float64", "its mean over the seeds", lambda e: e.interval[0],
            title="{metric}", form="mean", **_MAIN),
    Column("metric_sd", "float64", "its standard deviation", lambda e: e.interval[1]),
    Column("ci_low", "float64", "t interval of the mean", lambda e: e.interval[0] - e.interval[2]),
    Column("ci_high", "float64", "its upper end", lambda e: e.interval[0] + e.interval[2]),
    Column("diff_to_best", "float64", "difference to the best-ranked, over common seeds",
            lambda e: e.diff_to_best, title="vs the best", form="gain", **_MAIN),
    Column("diff_sim_low", "float64", "its interval; those of all pairs hold together",
            lambda e: e.of_pair(e.standing.verdicts.intervals.low)),
    Column("diff_sim_high", "float64", "its upper end",
            lambda e: e.of_pair(e.standing.verdicts.intervals.high)),
    Column("within", "float64", "most that it and the best-ranked may differ by",
            lambda e: e.of_pair(e.standing.verdicts.intervals.within)),
    Column("wins", "Int64", "common seeds on which it is ahead of the best-ranked",
            lambda e: e.wins, title="wins", form="wins", **_MORE),
    Column("p_adjusted", "float64", "p-value of the difference, adjusted for all pairs",
            lambda e: e.of_pair(e.standing.verdicts.adjusted),
            title="p (all pairs)", form=".2g", view="page"),
    Column("test_accuracy_mean", "float64", "mean test accuracy",
            lambda e: mean_interval(e.trials["test_accuracy"][e.done], 0.0, 0.95)[0]),
    Column("test_accuracy_sd", "float64", "its standard deviation",
            lambda e: mean_interval(e.trials["test_accuracy"][e.done], 0.0, 0.95)[1]),
    Column("val_auc", "float64", "mean height of the validation accuracy over the epochs",
            lambda e: mean_of(e.trials["val_auc"][e.done]),
            title="val area", form=".3f", **_MORE),
    Column("lr_sensitivity", "float64", "mean validation loss above the best over the LR grid",
            _of_grid(loss_above_best), title="LR cost", form=".2g", **_MORE),
    Column("lr_width", "float64", "ratio of the LRs within 1 point of the best",
            _of_grid(width_within_a_point), title="LR width", form=".3gx", **_MORE),
    Column("worst_seed", "float64", "metric of the worst seed", lambda e: e.worst,
            title="worst seed", form="metric", **_MORE),
    Column("epochs_to_target", "float64", "median epochs until the target; a lost seed is never",
            lambda e: e.median_or_never("epochs_to_target"),
            title="target epochs", form=".1f", missing="never", **_MORE),
    Column("time_to_target_s", "float64", "median training seconds until the target",
            lambda e: e.median_or_never("time_to_target_s"),
            title="target seconds", form=".1f", missing="never", **_MORE),
    Column("throughput_img_s", "float64", "median images per second",
            lambda e: _median(e.trials["throughput_img_s"][e.done]),
            title="img/s", form=",.0f", **_MORE),
    Column("batch_size", "int64", "images in a batch", lambda e: e.standing.batch_size,
            title="batch", several=True, order=0, view="all"),
    Column("weight_decay", "float64", "weight decay of its final trials",
            lambda e: _median(e.trials["weight_decay"][e.standing.rows[e.place]]),
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
    columns = {name: trials[name].to_numpy() for name in trials.columns}
    known = {
        (grid.schedule, grid.budget, grid.batch_size): grid for grid in grids(trials, question)
    }
    for standing in found:
        ranks = _ranks(standing)
        for place, name in enumerate(standing.names):
            grid = known.get((name, standing.budget, standing.batch_size))
            yield Entry(standing, place, ranks[place], columns, grid)


def _ranks(standing: Standing) -> list[int]:
    """1, 2, …; those with equal means share the better rank."""
    wins, gains = standing.verdicts.wins, standing.verdicts.gains
    ranks: list[int] = []
    for place in range(len(standing.names)):
        tied = place > 0 and gains[place, place - 1] == 0 and wins[place] == wins[place - 1]
        ranks.append(ranks[-1] if tied else place + 1)
    return ranks
