"""Two runs side by side: what each schedule gains or loses from one to the other."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.intervals import compare_pairs
from lrbench.analysis.question import direction
from lrbench.analysis.reference import INTERVAL, judged
from lrbench.analysis.standing import Standing
from lrbench.analysis.summary import Summary
from lrbench.analysis.tidy import SCHEDULE, Column, frame

VERSUS = (
    Column("run", "int64", "place of B among the other runs; 0 is the first"),
    SCHEDULE,
    Column("budget_a", "int64", "epochs in A", title="epochs A", several=True),
    Column("budget_b", "int64", "epochs in B", title="epochs B", several=True),
    Column("batch_size_a", "int64", "batch size in A", title="batch A", several=True),
    Column("batch_size_b", "int64", "batch size in B", title="batch B", several=True),
    Column("lr_a", "float64", "learning rate in A", title="LR A", form=".3g"),
    Column("lr_b", "float64", "learning rate in B", title="LR B", form=".3g"),
    Column("metric", "object", "metric used for ranking"),
    Column("mean_a", "float64", "its mean in A", title="A", form="metric"),
    Column("mean_b", "float64", "its mean in B", title="B", form="metric"),
    Column("n", "int64", "seeds that both have", title="seeds", form="lost"),
    Column("lost_a", "int64", "final seeds of A that failed or collapsed"),
    Column("lost_b", "int64", "final seeds of B that failed or collapsed"),
    Column("diff", "float64", "B minus A", title="B - A", form="gain"),
    *INTERVAL,
    Column("p_adjusted", "float64", "p-value (Holm, all comparisons)", title="p", form=".2g"),
    Column("verdict", "object", "what B is: better, worse or not told apart", title="B is"),
)


def versus(a: Summary, *others: Summary) -> DataFrame:
    """A row for each schedule that A and another run share, over the seeds that both have: its mean
    in each, and the difference B - A. All rows are corrected together, over all runs, so several
    runs are compared with A in one call; `run` is the place of B among them.

    Rankings are matched by budget and batch size; if each run has just one, those two are matched
    regardless. The verdict is empty with fewer than two common seeds; runs ranked by different
    metrics have no rows.
    """
    rows = [
        {"run": place, **row}
        for place, b in enumerate(others)
        if a.metric == b.metric
        for mine, theirs in _matched(a.standings, b.standings)
        for row in _rows(mine, theirs)
    ]
    level = a.question.alpha / max(1, sum(math.isfinite(row["p"]) for row in rows))
    leveled = [{**row, "level": level} for row in rows]
    return frame(judged(leveled, a.question.alpha, direction(a.metric)), VERSUS)


def _matched(
    mine: tuple[Standing, ...], theirs: tuple[Standing, ...]
) -> list[tuple[Standing, Standing]]:
    if len(mine) == len(theirs) == 1:
        return [(mine[0], theirs[0])]
    return [(a, b) for a in mine for b in theirs if a.cell == b.cell]


def _rows(mine: Standing, theirs: Standing) -> Iterator[dict[str, Any]]:
    """For each schedule its cells in both runs, and the statistics of the difference B - A."""
    floor = max(mine.floor, theirs.floor)
    _, in_a, in_b = np.intersect1d(mine.seeds, theirs.seeds, return_indices=True)
    for place, name in enumerate(mine.names):
        if name not in theirs.names:
            continue
        there = theirs.names.index(name)
        values = np.stack([theirs.values[in_b, there], mine.values[in_a, place]], axis=1)
        values = values[np.isfinite(values).all(axis=1)]
        pairs = compare_pairs(values, floor)
        means = values.mean(axis=0) if len(values) else np.full(2, np.nan)
        yield {
            "schedule": name,
            "budget_a": mine.budget,
            "budget_b": theirs.budget,
            "batch_size_a": mine.batch_size,
            "batch_size_b": theirs.batch_size,
            "lr_a": mine.lrs[place],
            "lr_b": theirs.lrs[there],
            "metric": mine.metric,
            "mean_a": means[1],
            "mean_b": means[0],
            "lost_a": mine.lost[place],
            "lost_b": theirs.lost[there],
            "mean": pairs.mean[0, 1],
            "sd": pairs.sd[0, 1],
            "n": pairs.n[0, 1],
            "p": pairs.p[0, 1],
        }
