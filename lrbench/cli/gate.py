"""Conditions under which a comparison fails: for scripts and continuous integration."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from lrbench.errors import ConditionHolds, UsageError
from lrbench.schedules import parse

if TYPE_CHECKING:
    from lrbench.analysis import Summary


def check_conditions(fail_below: float | None, fail_if_worse_than: str | None) -> None:
    """Raises UsageError: a condition that no run could meet, or a name that is no schedule."""
    if fail_below is not None and not 0 < fail_below <= 1:
        raise UsageError(f"--fail-below {fail_below:g}: an accuracy is a fraction, such as 0.97")
    if fail_if_worse_than is not None:
        parse(fail_if_worse_than)


def enforce(summary: Summary, fail_below: float | None, fail_if_worse_than: str | None) -> None:
    """
    Raises:
        ConditionHolds: the best schedule's mean is below `fail_below`; or a schedule is told apart
            from the named one and worse (Holm over those comparisons), or has failed seeds where
            the named one has none.
        UsageError: the condition cannot be judged on this run.
    """
    check_conditions(fail_below, fail_if_worse_than)
    if fail_below is not None:
        _check_accuracy(summary, fail_below)
    if fail_if_worse_than is not None:
        _check_worse(summary, str(parse(fail_if_worse_than)))


def _check_accuracy(summary: Summary, least: float) -> None:
    if summary.metric.endswith("loss"):
        raise UsageError(f"--fail-below is an accuracy, and this run ranks by {summary.metric}")
    reached = summary.ranking["metric_mean"].iloc[0] if len(summary.ranking) else math.nan
    if not reached >= least:
        raise ConditionHolds(
            f"--fail-below {least:g}: the best schedule, {summary.best}, reached {reached:.4f}"
            if summary.best
            else f"--fail-below {least:g}: no final trial ended well"
        )


def _check_worse(summary: Summary, name: str) -> None:
    from lrbench.analysis.reference import against_reference

    if not any(name in standing.names for standing in summary.standings):
        raise UsageError(f"--fail-if-worse-than {name}: this run has no such schedule")
    rows = against_reference(summary.standings, replace(summary.question, reference=name))
    worse = rows.loc[rows["verdict"] == "worse", "schedule"].tolist()
    for standing in summary.standings:
        failed = dict(zip(standing.names, standing.failed.tolist(), strict=True))
        if failed.get(name) == 0:
            worse += [other for other, count in failed.items() if count]
    if worse:
        raise ConditionHolds(
            f"--fail-if-worse-than {name}: worse is {', '.join(dict.fromkeys(worse))}"
        )
