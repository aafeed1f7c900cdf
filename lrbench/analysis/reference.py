"""Each schedule against one that was named beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.analysis.columns import Column, frame
from lrbench.analysis.question import Question, direction
from lrbench.analysis.standing import Standing
from lrbench.analysis.verdicts import holm, verdict

if TYPE_CHECKING:
    from pandas import DataFrame

REFERENCE = (
    Column("schedule", "object", "schedule, as a spec", title="schedule", form="name", order=0),
    Column("budget", "int64", "epochs", title="epochs", several=True, order=0),
    Column("reference", "object", "schedule it is compared with"),
    Column("n", "int64", "seeds that both have"),
    Column("diff", "float64", "schedule less reference", title="over {reference}", form="gain"),
    Column("diff_ci_low", "float64", "paired t interval of the difference, not corrected"),
    Column("diff_ci_high", "float64", "its upper end"),
    Column("p_adjusted", "float64", "Holm over all schedules", title="p (Holm)", form=".2g"),
    Column("verdict", "object", "better, worse or tie", title="verdict"),
    Column(
        "batch_size", "int64", "images in a batch", title="batch", several=True, order=0
    ),
)  # fmt: skip


def against_reference(found: Sequence[Standing], question: Question) -> DataFrame:
    """Each schedule less the question's reference; Holm over those k - 1 alone.

    The verdict is `better`, `worse` or `tie`; empty where a seed failed or there is but one.
    """
    return frame(_rows(found, question), REFERENCE)


def _rows(found: Sequence[Standing], question: Question) -> Iterator[dict[str, Any]]:
    for standing in found:
        if question.reference not in standing.names:
            continue
        base, pairs = standing.names.index(question.reference), standing.verdicts.pairs
        sound = (standing.failed == 0) & (standing.failed[base] == 0)
        sound[base] = False
        adjusted = holm(np.where(sound, pairs.p[:, base], np.nan))
        for place, name in enumerate(standing.names):
            mean, half = pairs.mean[place, base], pairs.half[place, base]
            if place != base:
                yield {
                    "schedule": name,
                    "budget": standing.budget,
                    "batch_size": standing.batch_size,
                    "reference": question.reference,
                    "n": int(pairs.n[place, base]),
                    "diff": mean,
                    "diff_ci_low": mean - half,
                    "diff_ci_high": mean + half,
                    "p_adjusted": adjusted[place],
                    "verdict": verdict(
                        mean * direction(standing.metric), adjusted[place], question.alpha
                    ),
                }
