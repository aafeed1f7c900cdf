"""What the curves of a training show, and what to change.

A rule is a function in a file of this folder, registered under its name with what it looks for;
`docs/diagnosis.md` lists them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from lrbench.analysis.names import short
from lrbench.analysis.tidy import Column, frame
from lrbench.records import History
from lrbench.registry import Registry

SHOWN = 8


@dataclass(frozen=True)
class Finding:
    """What was seen in a training, and what to change."""

    message: str
    remedy: str


Rule = Callable[[History], Finding | None]
RULES: Registry[Rule] = Registry("diagnosis_rule", "lrbench.analysis.diagnosis")

DIAGNOSIS = (
    Column("stage", "object", "tune or final"),
    Column("schedule", "object", "schedule, as a spec", title="schedule", form="name"),
    Column("budget", "int64", "epochs"),
    Column("batch_size", "int64", "images in a batch"),
    Column("rule", "object", "rule that fired"),
    Column("trials", "int64", "trials in which it fired", title="trials", form="of"),
    Column("of", "int64", "trials that ended"),
    Column("finding", "object", "what the first such trial showed", title="finding", form="words"),
    Column("remedy", "object", "what to change", title="what to change", form="words"),
)


def diagnose(history: History) -> dict[str, Finding]:
    """The finding of each rule; empty for a training that has not ended, or that failed."""
    if history.end is None or history.end.status == "failed":
        return {}
    found = {rule.name: rule.make(history) for rule in RULES}
    return {name: finding for name, finding in found.items() if finding is not None}


def trial_line(history: History, reported: Collection[str] = ()) -> str:
    """What to print when a final training ends: findings of rules not `reported` yet. Empty in
    tuning, where most LRs are wrong on purpose."""
    found = diagnose(history) if history.spec.stage == "final" else {}
    return "; ".join(
        f"{each.message}: {each.remedy}" for rule, each in found.items() if rule not in reported
    )


def diagnosis_frame(histories: Iterable[History]) -> DataFrame:
    """One row for each rule that fired in a schedule's trials, separately for tuning and finals: in
    how many trials, and the message of the first."""
    found: dict[tuple[Any, ...], list[Finding]] = {}
    counts: dict[tuple[Any, ...], int] = {}
    for history in histories:
        spec = history.spec
        cell = (spec.stage, spec.name, spec.epochs, spec.batch_size)
        counts[cell] = counts.get(cell, 0) + (history.end is not None)
        for rule, finding in diagnose(history).items():
            found.setdefault((*cell, rule), []).append(finding)
    names = [column.name for column in DIAGNOSIS]
    rows = (
        (*key, len(each), counts[key[:4]], each[0].message, each[0].remedy)
        for key, each in found.items()
    )
    return frame((dict(zip(names, row, strict=True)) for row in rows), DIAGNOSIS)


def diagnosis_lines(found: DataFrame) -> Iterator[str]:
    """Terminal lines: findings in most final trials of a schedule, most common first."""
    finals = found[(found["stage"] == "final") & (2 * found["trials"] > found["of"])]
    rows = finals.sort_values("trials", ascending=False, kind="stable").to_dict("records")
    for row in rows[:SHOWN]:
        yield (
            f"{short(row['schedule'], 40)} ({row['trials']} of {row['of']} trials): "
            f"{row['finding']}: {row['remedy']}"
        )
    if len(rows) > SHOWN:
        yield f"and {len(rows) - SHOWN} more in diagnosis.csv"
