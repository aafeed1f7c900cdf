"""Read back the run of a comparison: its experiment, summary and files. Trains nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lrbench.errors import MachineError, Notice, Topic, UsageError
from lrbench.files import read_file
from lrbench.options import CompareSpec, TrialSpec
from lrbench.plan import Plan, StepsPerEpoch, plan, recorded_steps
from lrbench.plan.cell import Scales
from lrbench.records import labelled
from lrbench.run import conditions
from lrbench.run.store import Run
from lrbench.session.checks import spec_notices

if TYPE_CHECKING:
    from lrbench.analysis import Question, Summary


def recorded(run: Run) -> CompareSpec:
    """The experiment that a run was made for.

    Raises:
        UsageError: the folder holds no run, or a run of another command.
        MachineError: its experiment cannot be read.
    """
    manifest = run.manifest
    if manifest is None or manifest["command"] != "compare":
        raise UsageError(f"{run.path} does not hold a run of lrbench compare")
    try:
        spec = CompareSpec.model_validate(manifest["experiment"])
    except ValueError:
        raise MachineError(f"{run.path}: the experiment in its manifest cannot be read") from None
    if spec.fingerprint != manifest["fingerprint"]:
        raise MachineError(
            f"{run.path}: the experiment in its manifest does not match its fingerprint",
            hint="undo the change, or choose another --out",
        )
    return spec


def refuse_lost(run: Run) -> None:
    """
    Raises:
        UsageError: the run's journals are missing, as in a copy of its tables alone. Its tables
            would be replaced by empty ones.
    """
    path = run.path / "trials.csv"
    if not run.histories and path.exists() and read_file(path).count(b"\n") > 1:
        raise UsageError(
            f"{run.path}: its journals (trials/) are missing, so its tables are left unchanged",
            hint=f"read the tables: {path.with_name('ranking.csv')}",
        )


def question_of(spec: CompareSpec, data: Mapping[str, Any]) -> Question:
    """The `Question` of a comparison on this data, as known before training."""
    from lrbench.analysis import Question, spending

    several = spec.race or spec.looked
    return Question(
        schedules=spec.entrants,
        metric=spec.metric,
        reference=spec.reference,
        target_accuracy=spec.target_accuracy,
        aim=spec.aim,
        seeds=spec.looks[-1],
        test_size=data.get("test"),
        val_size=data.get("val"),
        classes=data.get("classes"),
        looks=spending(spec.looks, race=spec.race) if several else None,
        margin=spec.margin,
        studies=spec.studies,
    )


def settle(
    spec: CompareSpec,
    run: Run,
    data: Mapping[str, Any],
    steps: StepsPerEpoch,
    scales: Scales = MappingProxyType({}),
) -> Plan:
    """What the records so far settle, and what to train next; in a race, up to the next look."""
    settled = plan(spec, run.histories, run.finds, steps, scales)
    if not spec.race:
        return settled
    from lrbench.analysis import raced

    return raced(settled, run.histories, question_of(spec, data))


def settled_so_far(spec: CompareSpec, run: Run) -> Plan:
    """`settle` for an existing run, from its folder alone: runs none of the user's code."""
    manifest = run.manifest or {}
    steps, scales = recorded_steps(manifest), manifest.get("scales", {})
    return settle(spec, run, manifest.get("data", {}), steps, scales)


def summarised(spec: CompareSpec, run: Run, only: Collection[str] = ()) -> Summary:
    """The analysis of all records so far, for all entrants or `only` some. Does not need torch."""
    from lrbench.analysis import summarise

    manifest = run.manifest or {}
    data = manifest.get("data", {})
    settled = settled_so_far(spec, run)
    orphans = _orphans(spec, settled, run)
    entrants = tuple(name for name in spec.entrants if not only or name in only)
    wanted = labelled((*settled.tuning, *settled.finals, *orphans), run.histories)
    histories = [each for each in wanted if each.spec.name in entrants]
    notices = [*spec_notices(spec, data), *settled.notices]
    if orphans:
        remedy = "repeat lrbench compare to train what is missing"
        said = f"{len(orphans)} final trials exist, but tuning is incomplete"
        notices.append(Notice(Topic.TRIALS_FAILED, said, remedy))
    notices += conditions.notices(manifest, histories)
    if shard := manifest.get("options", {}).get("shard"):
        whole = "merge all shards: lrbench report SHARD... --out DIR"
        notices.append(Notice(Topic.SHARD, f"these are the trials of shard {shard} only", whole))
    question = replace(
        question_of(spec, data),
        schedules=entrants,
        reference=spec.reference if spec.reference in entrants else None,
        choices=settled.choices,
        manifest=manifest,
        notices=tuple(notices),
    )
    return summarise(histories, question)


def _orphans(spec: CompareSpec, settled: Plan, run: Run) -> list[TrialSpec]:
    """Final trials whose tuning trials are missing. They are still reported."""
    lengths, trials = {cell.epochs for cell in spec.cells}, [h.spec for h in run.histories.values()]
    return [
        trial
        for trial in trials
        if settled.stage in ("find", "tune") and trial.stage == "final"
        if trial.recipe in spec.recipes and trial.epochs in lengths
    ]


def write_files(summary: Summary, run: Run, also: Sequence[str] = ()) -> None:
    """Write the tables, plots and page of a run again.

    Raises:
        MachineError: the folder cannot be written, or another process writes there.
    """
    from lrbench.report import renderers

    with run.writer():
        renderers.write_all(summary, run.path, also)
