"""Each schedule against one that was named beforehand."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.corrections import Floats, holm
from lrbench.analysis.differences import t_intervals
from lrbench.analysis.question import Question, direction
from lrbench.analysis.standing import Standing
from lrbench.analysis.tidy import BATCH_SIZE, BUDGET, SCHEDULE, Column, frame
from lrbench.analysis.verdicts import levels, verdict

INTERVAL = (
    Column("diff_sim_low", "float64", "its interval; those of all comparisons hold together"),
    Column("diff_sim_high", "float64", "its upper end"),
    Column("within", "float64", "most that the two may differ by"),
)
REFERENCE = (
    SCHEDULE,
    BUDGET,
    Column("reference", "object", "schedule it is compared with"),
    Column("n", "int64", "seeds that both have"),
    Column("diff", "float64", "schedule less reference", title="over {reference}", form="gain"),
    *INTERVAL,
    Column("p_adjusted", "float64", "Holm over all schedules", title="p (Holm)", form=".2g"),
    Column("verdict", "object", "better, worse or not told apart", title="verdict"),
    BATCH_SIZE,
)


def against_reference(found: Sequence[Standing], question: Question) -> DataFrame:
    """Each schedule less the question's reference, on the seeds that both have; Holm over those
    k - 1 alone. The verdict is empty where there are fewer than two common seeds."""
    return frame(_rows(found, question), REFERENCE)


def _rows(found: Sequence[Standing], question: Question) -> Iterator[dict[str, Any]]:
    for standing in found:
        if question.reference not in standing.names:
            continue
        base, pairs = standing.names.index(question.reference), standing.verdicts.pairs
        others = np.delete(np.arange(len(standing.names)), base)
        parts = (pairs.mean, pairs.sd, pairs.n, standing.verdicts.p)
        mean, sd, n, p = (part[others, base] for part in parts)
        level = levels(question.alpha, int(np.isfinite(p).sum()), standing.verdicts.race)
        level = np.broadcast_to(level, pairs.n.shape)[others, base]
        judged = compared(mean, sd, n, p, question.alpha, direction(standing.metric), level)
        for place, row in zip(others.tolist(), judged, strict=True):
            yield {
                **standing.cell,
                **row,
                "schedule": standing.names[place],
                "reference": question.reference,
            }


def compared(
    mean: Floats,
    sd: Floats,
    n: Floats,
    p: Floats,
    alpha: float,
    direction: int,
    level: Floats,
) -> Iterator[dict[str, Any]]:
    """The cells of each comparison of one family: Holm over all of them, and intervals that hold
    together, each at its `level`."""
    adjusted = holm(p)
    apart = np.nan_to_num(adjusted, nan=1.0) <= alpha
    intervals = t_intervals(mean, sd, np.where(np.isfinite(p), n, np.nan), apart, level)
    for i in range(len(mean)):
        yield {
            "n": int(n[i]),
            "diff": mean[i],
            "diff_sim_low": intervals.low[i],
            "diff_sim_high": intervals.high[i],
            "within": intervals.within[i],
            "p_adjusted": adjusted[i],
            "verdict": verdict(mean[i] * direction, adjusted[i], alpha),
        }
