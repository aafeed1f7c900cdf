"""Each schedule against one that was named beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.analysis.frames import frame
from lrbench.analysis.pairs import holm
from lrbench.analysis.question import Question, direction
from lrbench.analysis.standing import Standing
from lrbench.analysis.words import verdict

if TYPE_CHECKING:
    from pandas import DataFrame

REFERENCE_TYPES = {
    "schedule": "object",
    "budget": "int64",
    "reference": "object",
    "n": "int64",
    "diff": "float64",
    "diff_ci_low": "float64",
    "diff_ci_high": "float64",
    "p_adjusted": "float64",
    "verdict": "object",
    "batch_size": "int64",
}


def against_reference(found: Sequence[Standing], question: Question) -> DataFrame:
    """Each schedule less the reference that was named beforehand; Holm over those k - 1 alone.

    The verdict is `better`, `worse` or `tie`; empty where a seed failed or there is but one.
    """
    rows = []
    for standing in found:
        if question.reference in standing.names:
            rows += _reference_rows(standing, standing.names.index(question.reference), question)
    return frame(rows, REFERENCE_TYPES)


def _reference_rows(standing: Standing, base: int, question: Question) -> list[dict[str, Any]]:
    pairs = standing.pairs
    sound = (standing.failed == 0) & (standing.failed[base] == 0)
    sound[base] = False
    adjusted = holm(np.where(sound, pairs.p[:, base], np.nan))
    return [
        {
            "schedule": name,
            "budget": standing.budget,
            "batch_size": standing.batch_size,
            "reference": question.reference,
            "n": int(pairs.n[place, base]),
            "diff": pairs.mean[place, base],
            "diff_ci_low": pairs.mean[place, base] - pairs.half[place, base],
            "diff_ci_high": pairs.mean[place, base] + pairs.half[place, base],
            "p_adjusted": adjusted[place],
            "verdict": verdict(
                pairs.mean[place, base] * direction(standing.metric),
                adjusted[place],
                question.alpha,
            ),
        }
        for place, name in enumerate(standing.names)
        if place != base
    ]
