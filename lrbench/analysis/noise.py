"""The noise floor of one schedule: how much seeds alone change, and which differences they hide."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pandas import DataFrame
from scipy.special import chdtri

from lrbench.analysis.amounts import margin
from lrbench.analysis.evidence import POWER, detectable_difference
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import Standing
from lrbench.analysis.tidy import BATCH_SIZE, BUDGET, SCHEDULE, Column, frame
from lrbench.analysis.words import seeds_text

COUNTS = (3, 5, 8, 10, 15, 20, 30, 50)
SPOKEN = (5, 10, 20)
NOISE = (
    replace(SCHEDULE, several=True),
    BUDGET,
    Column("seeds", "int64", "final seeds of each of two schedules", title="seeds each"),
    Column("difference", "float64", "smallest difference between the two that would be found (80 % "
           "power)", title="finds differences from", form="margin"),
    BATCH_SIZE,
)  # fmt: skip


def noise_frame(found: Sequence[Standing], alpha: float) -> DataFrame:
    """For a run with a single schedule: how far two equally noisy schedules would have to differ to
    be told apart, with independent seeds. Pairing by seed detects a little more."""
    return frame((row for each in found for row in _rows(each, alpha)), NOISE)


def _rows(standing: Standing, alpha: float) -> Iterator[dict[str, Any]]:
    if len(standing.names) > 1 or standing.counts[0] < 2:
        return
    sd = max(float(np.nanstd(standing.values, ddof=1)), standing.floor / math.sqrt(2))
    for seeds in COUNTS:
        yield {
            **standing.cell,
            "schedule": standing.names[0],
            "seeds": seeds,
            "difference": detectable_difference(math.sqrt(2) * sd, seeds, alpha),
        }


def sd_range(sd: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a standard deviation, from the `sd` of n normal values (chi-squared).

    >>> [round(end, 2) for end in sd_range(1.0, 8)]
    [0.66, 2.04]
    """
    tail = (1 - confidence) / 2
    low, high = (math.sqrt((n - 1) / float(chdtri(n - 1, p))) for p in (tail, 1 - tail))
    return sd * low, sd * high


def noise_text(noise: DataFrame, standing: Standing) -> str:
    """The noise floor in words: the sd, how much of it a finite test set may explain, and which
    differences are detected; empty with several schedules."""
    mine = standing.part(noise)
    if not len(mine):
        return ""
    values = standing.values[np.isfinite(standing.values)]
    sd = float(values.std(ddof=1))
    low, high = (margin(end, None, standing.metric) for end in sd_range(sd, len(values)))
    parts = [
        f"The sd over {seeds_text(len(values))} is {margin(sd, None, standing.metric)} "
        f"({low.split()[0]} to {high.split()[0]})."
    ]
    if standing.images and is_accuracy(standing.metric):
        mean = float(values.mean())
        drawn = math.sqrt(mean * (1 - mean) / standing.images)
        share = 100 * min(1.0, (drawn / sd) ** 2) if sd else 100
        parts.append(
            f"Up to {share:.0f} % of this variance may come from testing on {standing.images:,} "
            f"images alone (binomial sd: {margin(drawn, None, standing.metric)}), so that the "
            "trained models differ less than their scores."
        )
    rows = mine[mine["seeds"].isin(SPOKEN)]
    found = [margin(size, None, standing.metric) for size in rows["difference"]]
    several = ", ".join(f"{d} with {n}" for d, n in zip(found, rows["seeds"], strict=True))
    parts.append(
        f"Two schedules as noisy as this would be told apart ({100 * POWER:.0f} % power) if they "
        f"differ by {several} seeds each."
    )
    return " ".join(parts)
