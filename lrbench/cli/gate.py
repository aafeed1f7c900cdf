"""Conditions under which a comparison fails: for scripts and continuous integration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from lrbench.cli.common import stderr
from lrbench.errors import ConditionHolds, UsageError, printable
from lrbench.registry import did_you_mean
from lrbench.schedules import parse

if TYPE_CHECKING:
    from lrbench.analysis import Summary
    from lrbench.options import CompareSpec


def check_conditions(
    fail_below: float | None, fail_if_worse_than: str | None, spec: CompareSpec | None = None
) -> None:
    """Raises UsageError: a condition that no run, or not the run of this spec, could meet."""
    if fail_below is not None and spec is not None and not spec.metric.endswith("accuracy"):
        raise UsageError(f"--fail-below needs an accuracy, but --metric is {spec.metric}")
    if fail_if_worse_than is not None and spec is not None:
        ranked_name(fail_if_worse_than, spec.entrants, "--fail-if-worse-than")


def ranked_name(text: str, known: Sequence[str], option: str) -> str:
    """What the ranking calls an arm or a schedule, as it was typed; raises UsageError for what is
    not ranked."""
    if text in known:
        return text
    with suppress(UsageError):
        if (name := str(parse(text))) in known:
            return name
    raise UsageError(f"{option} {text}: not in this run", hint=did_you_mean(text, known))


def enforce(
    summary: Summary, fail_below: float | None, fail_if_worse_than: str | None, *, quiet: bool
) -> None:
    """Say which conditions are met, unless `quiet`.

    Raises:
        ConditionHolds: the best schedule's mean is below `fail_below`; or a schedule is
            told to be worse than the named one (Holm over those comparisons), or has lost seeds
            (diverged, failed or at chance) where the named one has none. The message names every
            condition that holds.
        UsageError: a condition cannot be judged on this run.
    """
    found = []
    if fail_below is not None:
        said = f"--fail-below {100 * fail_below:g} %"
        found.append((said, *_below(summary, fail_below)))
    if fail_if_worse_than is not None:
        said = f"--fail-if-worse-than {fail_if_worse_than}"
        known = summary.question.schedules
        name = ranked_name(fail_if_worse_than, known, "--fail-if-worse-than")
        found.append((said, *_worse(summary, name)))
    if failed := [f"{said}: {why}" for said, fails, why in found if fails]:
        raise ConditionHolds("; ".join(failed))
    for said, _, why in () if quiet else found:
        stderr().print(printable(f"{said}: passed, {why}"), markup=False)


def _below(summary: Summary, least: float) -> tuple[bool, str]:
    """Whether the condition fails the run, and why."""
    if not summary.metric.endswith("accuracy"):
        raise UsageError(f"--fail-below needs an accuracy, but this run ranks by {summary.metric}")
    reached = summary.ranking["metric_mean"].iloc[0] if len(summary.ranking) else math.nan
    if summary.best is None:
        return True, "no final trial succeeded"
    said = f"the best schedule, {summary.best}, reached {100 * reached:.2f} %"
    return not reached >= least, said


def _worse(summary: Summary, name: str) -> tuple[bool, str]:
    from lrbench.analysis.reference import against_reference

    if not any(name in standing.names for standing in summary.standings):
        raise UsageError(f"--fail-if-worse-than {name}: none of its final trials has ended")
    rows = against_reference(summary.standings, replace(summary.question, reference=name))
    worse = rows.loc[rows["verdict"] == "worse", "schedule"].tolist()
    for standing in summary.standings:
        lost = dict(zip(standing.names, standing.lost.tolist(), strict=True))
        if lost.get(name) == 0:
            worse += [other for other, count in lost.items() if count]
    if worse:
        return True, f"worse is {', '.join(dict.fromkeys(worse))}"
    return False, "no schedule is told to be worse"
