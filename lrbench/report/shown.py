"""Numbers of a ranking as short texts, the same in every report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrbench.analysis.question import is_accuracy

if TYPE_CHECKING:
    from pandas import DataFrame

MISSING = "·"


def records(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows as dicts."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def cell_columns(ranking: DataFrame) -> dict[str, str]:
    """Which columns tell several rankings apart, and their titles."""
    titles = {"budget": "epochs", "batch_size": "batch"}
    return {name: title for name, title in titles.items() if ranking[name].nunique() > 1}


def half(row: Mapping[str, Any], kind: str) -> float:
    """Half the width of the interval `kind`: `ci` or `diff_ci`."""
    return float(row[f"{kind}_high"] - row[f"{kind}_low"]) / 2


def value(mean: float, half: float, metric: str) -> str:
    """A value of the metric with the half-width of its interval; where that passes 0 or 100 %,
    with what is left of it on each side.

    >>> value(0.975, 0.0025, "test_accuracy"), value(0.05, math.nan, "test_loss")
    ('97.50 ± 0.25 %', '0.0500')
    >>> value(0.995, 0.01, "test_accuracy")
    '99.50 +0.50 -1.00 %'
    """
    if math.isnan(mean):
        return MISSING
    scale, digits, unit = (100, 2, " %") if is_accuracy(metric) else (1, 4, "")
    spread = "" if math.isnan(half) else f" ± {scale * half:.{digits}f}"
    if is_accuracy(metric) and half > min(mean, 1 - mean):
        spread = f" +{scale * min(half, 1 - mean):.2f} -{scale * min(half, mean):.2f}"
    return f"{scale * mean:.{digits}f}{spread}{unit}"


def difference(row: Mapping[str, Any], key: str, metric: str) -> str:
    """A signed difference, in points of an accuracy, with the half-width of its interval."""
    if math.isnan(row[key]):
        return MISSING
    scale, digits = (100, 2) if is_accuracy(metric) else (1, 4)
    width = half(row, "diff_ci")
    spread = "" if math.isnan(width) else f" ± {scale * width:.{digits}f}"
    return f"{scale * row[key]:+.{digits}f}{spread}"


def seeds(row: Mapping[str, Any]) -> str:
    """How many seeds ended well, and how many did not."""
    failed = int(row["failed"])
    return f"{row['n']}, {failed} failed" if failed else str(row["n"])


def number(value: Any, form: str, missing: str = MISSING) -> str:
    """The number in this form, `x` for a factor; `missing` where there is none.

    >>> number(12.34, ".1f"), number(4, ".3gx"), number(None, ".1f", "never")
    ('12.3', '4x', 'never')
    """
    if value is None or math.isnan(value):
        return missing
    if form.endswith("x"):
        return f"{value:{form[:-1]}}x"
    return f"{value:{form}}"
