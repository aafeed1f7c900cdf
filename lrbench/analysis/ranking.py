"""The ranking as a frame: a row for each schedule, budget and batch size, best first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.analysis.columns import Column, frame
from lrbench.analysis.frames import completed
from lrbench.analysis.pairs import Bools, Floats, mean_interval
from lrbench.analysis.power import seeds_needed
from lrbench.analysis.question import Question, direction
from lrbench.analysis.sensitivity import (
    Grid,
    grids,
    loss_above_best,
    mean_of,
    width_within_a_point,
)
from lrbench.analysis.standing import Arrays, Standing, means_of, standings

if TYPE_CHECKING:
    from pandas import DataFrame


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
    def worst(self) -> float:
        pick = min if direction(self.standing.metric) > 0 else max
        return float(pick(self.values.tolist(), default=math.nan))

    def gain(self, part: str) -> float:
        """A statistic of the paired difference to the best-ranked schedule; 0 for its own mean."""
        if self.place == 0:
            return 0.0 if part == "mean" and len(self.values) else math.nan
        return float(getattr(self.standing.verdicts.pairs, part)[self.place, 0])

    @property
    def p_adjusted(self) -> float:
        return float(self.standing.verdicts.adjusted[self.place, 0]) if self.place else math.nan

    @property
    def seeds_needed(self) -> int | None:
        return seeds_needed(self.gain("mean"), self.gain("sd"), self.standing.verdicts.level)

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
            title="#", order=0, **_MAIN),
    Column("group", "object", "letter of those not told apart from the group's best",
            lambda e: e.standing.verdicts.letters[e.place] or None, title="tie", order=0, **_MAIN),
    Column("schedule", "object", "schedule, as a spec", lambda e: e.standing.names[e.place],
            title="schedule", form="name", order=0, view="all"),
    Column("budget", "int64", "epochs", lambda e: e.standing.budget,
            title="epochs", several=True, order=0, view="all"),
    Column("lr", "float64", "learning rate of its final trials",
            lambda e: e.standing.lrs[e.place], title="LR", form=".3g", **_MAIN),
    Column("n", "int64", "final seeds that ended well", lambda e: len(e.values),
            title="seeds", form="seeds", order=2, **_MAIN),
    Column("failed", "int64", "final seeds that did not", lambda e: e.standing.failed[e.place]),
    Column("metric", "object", "metric that ranks", lambda e: e.standing.metric),
    Column("metric_mean", "float64", "its mean over the seeds", lambda e: e.interval[0],
            title="{metric}", form="mean", **_MAIN),
    Column("metric_sd", "float64", "its standard deviation", lambda e: e.interval[1]),
    Column("ci_low", "float64", "t interval of the mean", lambda e: e.interval[0] - e.interval[2]),
    Column("ci_high", "float64", "its upper end", lambda e: e.interval[0] + e.interval[2]),
    Column("diff_to_best", "float64", "difference to the best-ranked, over common seeds",
            lambda e: e.gain("mean"), title="vs the best", form="gain", missing="best", **_MAIN),
    Column("diff_ci_low", "float64", "paired t interval of the difference, not corrected",
            lambda e: e.gain("mean") - e.gain("half")),
    Column("diff_ci_high", "float64", "its upper end", lambda e: e.gain("mean") + e.gain("half")),
    Column("p_adjusted", "float64", "p-value of the difference, Holm over all pairs",
            lambda e: e.p_adjusted, title="p (Holm)", form=".2g", view="page"),
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
    Column("generalisation_gap", "float64", "training less validation accuracy, shown in points",
            lambda e: mean_of(
                e.trials["train_accuracy"][e.done] - e.trials["val_accuracy"][e.done]
            ),
            title="gap", form="+.1f", scale=100, **_MORE),
    Column("seeds_needed", "Int64", "seeds that would confirm the difference with 80 % power",
            lambda e: e.seeds_needed),
    Column("batch_size", "int64", "images in a batch", lambda e: e.standing.batch_size,
            title="batch", several=True, order=0, view="all"),
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
    means, failed = means_of(standing.values), standing.failed
    ranks: list[int] = []
    for place, mean in enumerate(means):
        tied = place > 0 and mean == means[place - 1] and not failed[place - 1 : place + 1].any()
        ranks.append(ranks[-1] if tied else place + 1)
    return ranks
