"""Two runs side by side: what each schedule gains or loses from one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.analysis.columns import Column, frame
from lrbench.analysis.pairs import Floats, compare_pairs, mean_interval
from lrbench.analysis.question import direction
from lrbench.analysis.standing import Standing
from lrbench.analysis.summary import Summary
from lrbench.analysis.verdicts import holm, verdict

if TYPE_CHECKING:
    from pandas import DataFrame

VERSUS = (
    Column("schedule", "object", "schedule, as a spec", title="schedule", form="name"),
    Column("budget_a", "int64", "epochs in A", title="epochs A", several=True),
    Column("budget_b", "int64", "epochs in B", title="epochs B", several=True),
    Column("batch_size_a", "int64", "batch size in A", title="batch A", several=True),
    Column("batch_size_b", "int64", "batch size in B", title="batch B", several=True),
    Column("lr_a", "float64", "learning rate in A", title="LR A", form=".3g"),
    Column("lr_b", "float64", "learning rate in B", title="LR B", form=".3g"),
    Column("metric", "object", "metric that ranks"),
    Column("mean_a", "float64", "its mean in A", title="A", form="metric"),
    Column("mean_b", "float64", "its mean in B", title="B", form="metric"),
    Column("n", "int64", "seeds that both have"),
    Column("diff", "float64", "B less A", title="B - A", form="gain"),
    Column("diff_ci_low", "float64", "paired t interval of the difference, not corrected"),
    Column("diff_ci_high", "float64", "its upper end"),
    Column("p_adjusted", "float64", "Holm over the schedules", title="p", form=".2g"),
    Column("verdict", "object", "what B is: better, worse or tie", title="B is"),
)


def versus(a: Summary, b: Summary) -> DataFrame:
    """A row for each schedule of both runs, over the seeds that both have: its mean in each, and
    the difference B - A with its paired t interval; Holm over the schedules.

    Rankings are matched by budget and batch size; if each run has just one, those two are matched
    whatever they are. The verdict is empty with fewer than two common seeds, the frame where the
    two do not rank by the same metric.
    """
    if a.metric != b.metric:
        return frame((), VERSUS)
    rows = [
        row
        for mine, theirs in _matched(a.standings, b.standings)
        for row in _rows(a, mine, b, theirs)
    ]
    adjusted = holm(np.array([row.pop("p") for row in rows], dtype=float))
    for row, p in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = p
        row["verdict"] = verdict(row["diff"] * direction(a.metric), p, a.question.alpha)
    return frame(rows, VERSUS)


def _matched(
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
