"""The torch code of the schedule that ranks first, with its LR filled in."""

from collections.abc import Mapping
from typing import Any

from lrbench.analysis import Summary
from lrbench.options import Arm, CompareSpec, Recipe, said
from lrbench.plan import recorded_steps
from lrbench.schedules import code, parse, stretched

GROUPS_NOTE = """\
# This run had parameter groups (--group). The lines below treat all parameters the same: give each
# group its own LR, and use lrbench.schedules.to_torch([a spec for each group], optimizer, ...)."""
OWN = "# The code for your own schedule is written when the comparison ends."


def torch_lines(summary: Summary, manifest: Mapping[str, Any]) -> str:
    """The code for the best schedule of the first ranking, at its budget and batch size; empty if
    there is none, or if the manifest is not a comparison's. Code kept in the manifest is reused, so
    that a report does not load torch."""
    if summary.best is None or summary.first is None or "experiment" not in manifest:
        return ""
    arm, lost = _arm(summary.best, manifest), int(summary.first.lost[0])
    notes = []
    if lost:
        notes.append(f"# Do not rely on it yet: {lost} of its final trials did not end well.")
    if arm.settings:
        changes = ", ".join(f"{key} {said(value)}" for key, value in arm.changes)
        notes.append(f"# {arm.name}: {changes or f'schedule {arm.schedule}'}.")
    if len(summary.decays):
        decay = float(summary.ranking["weight_decay"].iloc[0])
        notes.append(f"# Give the optimizer weight_decay={decay!r}: it was tuned with the LR.")
    if manifest["experiment"]["recipe"].get("groups"):
        notes.append(GROUPS_NOTE)
    inputs = _inputs(summary, manifest)
    kept = manifest.get("torch_lines", {}).get(str(inputs))
    lines = kept or (OWN if ":" in inputs[0] else code(*inputs, import_torch=False))
    return "\n".join([*notes, lines])


def lines_to_keep(summary: Summary, manifest: Mapping[str, Any]) -> dict[str, str]:
    """The code to store in the manifest of a finished comparison, keyed by its inputs."""
    if summary.best is None:
        return {}
    inputs = _inputs(summary, manifest)
    return {str(inputs): code(*inputs)}


def _inputs(summary: Summary, manifest: Mapping[str, Any]) -> tuple[str, float, int, int]:
    """Schedule, LR, steps and steps per epoch of the best schedule in the first ranking."""
    first = summary.standings[0]
    arm = _arm(summary.best or "", manifest)
    schedule = parse(str(arm.schedule))
    if first.budget != manifest["experiment"]["epochs"]:
        schedule = stretched(schedule, first.budget / manifest["experiment"]["epochs"])
    plain = Recipe(**{**manifest["experiment"]["recipe"], "batch_size": first.batch_size})
    steps_per_epoch = recorded_steps(manifest)[arm.recipe(plain).effective_batch]
    lr = summary.chosen[summary.best or ""]
    return str(schedule), lr, first.budget * steps_per_epoch, steps_per_epoch


def _arm(name: str, manifest: Mapping[str, Any]) -> Arm:
    return CompareSpec(**manifest["experiment"]).entered[name]
