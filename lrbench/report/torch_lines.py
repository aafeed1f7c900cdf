"""The torch code of the schedule that ranks first, its LR filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrbench.analysis import Summary
from lrbench.plan import recorded_steps
from lrbench.schedules import code, parse, stretched

GROUPS_NOTE = """\
# This run had parameter groups (--group). The lines below treat all parameters alike: give each
# group its own LR, and use lrbench.schedules.to_torch([a spec for each group], optimizer, ...)."""


def torch_lines(summary: Summary, manifest: Mapping[str, Any]) -> str:
    """The lines for the first ranking's best, at its budget and batch size; empty without one, or
    where the manifest is not that of a comparison."""
    if summary.best is None or not summary.standings or "experiment" not in manifest:
        return ""
    first, experiment = summary.standings[0], manifest["experiment"]
    lr = summary.chosen[summary.best]
    lost = failures_note(int(first.lost[0]))
    if summary.best not in experiment["schedules"]:
        return f"{lost}# {summary.best} at a constant LR of {lr!r}: it needs no scheduler."
    schedule = parse(summary.best)
    if first.budget != experiment["epochs"]:
        schedule = stretched(schedule, first.budget / experiment["epochs"])
    steps_per_epoch = recorded_steps(manifest)[first.batch_size]
    lines = code(schedule, lr, first.budget * steps_per_epoch, steps_per_epoch)
    return f"{lost}{GROUPS_NOTE}\n{lines}" if experiment["recipe"].get("groups") else lost + lines


def failures_note(count: int) -> str:
    """One comment line where so many of the schedule's own seeds did not end well."""
    return f"# Not yet to be relied on: {count} of its final trials did not end well.\n" * (
        count > 0
    )
