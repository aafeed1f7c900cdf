"""Each schedule against a reference named in advance."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.corrections import holm
from lrbench.analysis.intervals import t_intervals
from lrbench.analysis.question import Question, direction
from lrbench.analysis.standing import Standing
from lrbench.analysis.tidy import BATCH_SIZE, BUDGET, SCHEDULE, Column, frame
from lrbench.analysis.verdicts import levels, verdict

INTERVAL = (
    Column("diff_sim_low", "float64", "its interval, simultaneous over all comparisons"),
    Column("diff_sim_high", "float64", "its upper end"),
    Column("within", "float64", "largest possible difference"),
)
REFERENCE = (
    SCHEDULE,
    BUDGET,
    Column("reference", "object", "schedule it is compared with"),
    Column("n", "int64", "seeds that both have"),
    Column("diff", "float64", "schedule minus reference", title="over {reference}", form="gain"),
    *INTERVAL,
    Column("p_adjusted", "float64", "p-value (Holm, all schedules)", title="p (Holm)", form=".2g"),
    Column("verdict", "object", "better, worse or not told apart", title="verdict"),
    BATCH_SIZE,
)


def against_reference(found: Sequence[Standing], question: Question) -> DataFrame:
    """Each schedule minus the question's reference, on the seeds that both have, with Holm over
    these k - 1 comparisons. The verdict is empty with fewer than two common seeds."""
    named = (standing for standing in found if question.reference in standing.names)
    return frame((row for each in named for row in _rows(each, question)), REFERENCE)


def _rows(standing: Standing, question: Question) -> Iterator[dict[str, Any]]:
    verdicts, names = standing.verdicts, standing.names
    pairs, base = verdicts.pairs, names.index(question.reference or "")
    tests = int(np.isfinite(verdicts.p[base]).sum())
    level = np.broadcast_to(levels(question.alpha, tests, verdicts.race), pairs.n.shape)
    parts = {"mean": pairs.mean, "sd": pairs.sd, "n": pairs.n, "p": verdicts.p, "level": level}
    rows = [
        {
            **standing.cell,
            "schedule": names[place],
            "reference": question.reference,
            **{name: part[place, base] for name, part in parts.items()},
        }
        for place in range(len(names))
        if place != base
    ]
    return judged(rows, question.alpha, direction(standing.metric))


def judged(
    rows: Sequence[dict[str, Any]], alpha: float, direction: int
) -> Iterator[dict[str, Any]]:
    """The rows of one family with verdicts: Holm over all of them, and simultaneous intervals. A
    row has `mean`, `sd`, `n` and `p` of its difference, and the `level` of its interval."""
    names = ("mean", "sd", "n", "p", "level")
    cells = np.array([[row[name] for name in names] for row in rows], dtype=float)
    mean, sd, n, p, level = cells.reshape(-1, len(names)).T
    adjusted = holm(p)
    apart = np.nan_to_num(adjusted, nan=1.0) <= alpha
    intervals = t_intervals(mean, sd, np.where(np.isfinite(p), n, np.nan), apart, level)
    for i, row in enumerate(rows):
        yield {
            **row,
            "diff": mean[i],
            "diff_sim_low": intervals.low[i],
            "diff_sim_high": intervals.high[i],
            "within": intervals.within[i],
            "p_adjusted": adjusted[i],
            "verdict": verdict(mean[i] * direction, adjusted[i], alpha),
        }
