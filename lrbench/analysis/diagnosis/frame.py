"""The findings of all trainings of a run, summed up for each schedule."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lrbench.analysis.diagnosis.rules import RULES, Finding
from lrbench.analysis.names import short
from lrbench.records import History

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "stage", "schedule", "budget", "batch_size", "rule", "trials", "of", "finding", "remedy",
)  # fmt: skip
SHOWN = 8


def diagnose(history: History) -> tuple[Finding, ...]:
    """What the rules say of one training; nothing of one that has not ended, or failed."""
    if history.end is None or history.end.status == "failed":
        return ()
    found = (rule(history) for rule in RULES)
    return tuple(each for each in found if each is not None)


def rule_names(history: History) -> str:
    """The rules that speak of one training, joined by `;`; empty without any."""
    return ";".join(finding.rule for finding in diagnose(history))


def trial_line(history: History, told: Collection[str] = ()) -> str:
    """What is to be said when a training ends; empty where there is nothing.

    Of a tuning trial, where most LRs are wrong on purpose, and of rules that were `told` before,
    it is the name alone.
    """
    tuning = history.spec.stage == "tune"
    return "; ".join(
        each.rule if tuning or each.rule in told else f"{each.message}: {each.remedy}"
        for each in diagnose(history)
    )


def diagnosis_frame(histories: Iterable[History]) -> DataFrame:
    """One row for each rule that spoke of a schedule: in how many of its trials, and the words for
    the first of them; tuning trials, where most LRs are wrong on purpose, apart from finals."""
    import pandas as pd

    found: dict[tuple[Any, ...], list[Finding]] = {}
    counts: dict[tuple[Any, ...], int] = {}
    for history in histories:
        spec = history.spec
        place = (spec.stage, spec.schedule, spec.epochs, spec.recipe.batch_size)
        counts[place] = counts.get(place, 0) + (history.end is not None)
        for finding in diagnose(history):
            found.setdefault((*place, finding.rule), []).append(finding)
    rows = [
        (*key, len(each), counts[key[:4]], each[0].message, each[0].remedy)
        for key, each in found.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def diagnosis_lines(frame: DataFrame) -> Iterator[str]:
    """The few lines for a terminal: what most of a schedule's final trials have, first what most
    of all have."""
    finals = frame[(frame["stage"] == "final") & (2 * frame["trials"] > frame["of"])]
    ordered = finals.sort_values("trials", ascending=False, kind="stable")
    rows = ordered.to_dict("records")
    for row in rows[:SHOWN]:
        yield (
            f"{short(row['schedule'], 40)} ({row['trials']} of {row['of']} trials): "
            f"{row['finding']}: {row['remedy']}"
        )
    if len(rows) > SHOWN:
        yield f"and {len(rows) - SHOWN} more in diagnosis.csv"
