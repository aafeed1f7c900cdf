"""Conditions under which a comparison fails, for scripts and continuous integration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from lrbench.cli.common import say
from lrbench.cli.params import output
from lrbench.errors import ConditionHolds, UsageError
from lrbench.options import CompareSpec
from lrbench.options.option import plain_digits
from lrbench.registry import did_you_mean
from lrbench.schedules import parse

if TYPE_CHECKING:
    from lrbench.analysis import Summary


def _share(text: str) -> float:
    """Parse `97%` or `0.97`."""
    try:
        number = float(plain_digits(text.removesuffix("%")))
    except ValueError:
        number = math.nan
    share = number / 100 if text.endswith("%") else number
    if not 0 < share <= 1:
        raise UsageError(f"--fail-below {text}: an accuracy is a share, such as 97% or 0.97")
    return share


@dataclass(frozen=True)
class Conditions:
    """`--fail-below` and `--fail-if-worse-than`."""

    # fmt: off
    below: Annotated[float | None, output(
        "--fail-below", "Exit with 4 unless the best schedule reaches this accuracy: 97% or 0.97.",
        parser=_share, metavar="<share>"
    )] = None
    worse_than: Annotated[str | None, output(
        "--fail-if-worse-than", "Exit with 4 if a schedule is worse than this one.", hidden=True
    )] = None
    # fmt: on

    def check(self, spec: CompareSpec) -> None:
        """Raises UsageError if a condition does not apply to this spec."""
        if self.below is not None and not spec.metric.endswith("accuracy"):
            raise UsageError(f"--fail-below needs an accuracy, but --metric is {spec.metric}")
        if self.worse_than is not None:
            ranked_name(self.worse_than, spec.entrants, "--fail-if-worse-than")

    def enforce(self, summary: Summary, *, quiet: bool) -> None:
        """Print which conditions pass, unless `quiet`.

        Raises:
            ConditionHolds: the best schedule's mean is below `below`; or a schedule is found to be
                worse than the named one (Holm over those comparisons), or has lost seeds
                (diverged, failed or at chance) where the named one has none. The message names
                every condition that holds.
            UsageError: a condition cannot be evaluated on this run.
        """
        found = []
        if self.below is not None:
            found.append((f"--fail-below {100 * self.below:g} %", *_below(summary, self.below)))
        if self.worse_than is not None:
            said = f"--fail-if-worse-than {self.worse_than}"
            name = ranked_name(self.worse_than, summary.question.schedules, "--fail-if-worse-than")
            found.append((said, *_worse(summary, name)))
        if failed := [f"{said}: {why}" for said, fails, why in found if fails]:
            raise ConditionHolds("; ".join(failed))
        for said, _, why in () if quiet else found:
            say(f"{said}: passed, {why}")


def ranked_name(text: str, known: Sequence[str], option: str) -> str:
    """The name in the ranking of an arm or schedule as typed; raises UsageError if it is not
    ranked."""
    if text in known:
        return text
    with suppress(UsageError):
        if (name := str(parse(text))) in known:
            return name
    raise UsageError(f"{option} {text}: not in this run", hint=did_you_mean(text, known))


def _below(summary: Summary, least: float) -> tuple[bool, str]:
    """Whether this condition fails the run, and why."""
    if summary.best is None:
        return True, "no final trial succeeded"
    if not summary.metric.endswith("accuracy"):
        raise UsageError(
            f"--fail-below needs an accuracy, but this run is ranked by {summary.metric}"
        )
    reached = summary.ranking["metric_mean"].iloc[0]
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
        return True, f"{', '.join(dict.fromkeys(worse))} did worse"
    return False, "no schedule is found to be worse"
