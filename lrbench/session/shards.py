"""Shares of a comparison that know nothing of each other, and the run that they make together.

Which final trials there are depends on all of tuning, so every shard tunes, or begins from a copy
of a run that has (`--shard 0/N`); the final trials are dealt out in turns.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from lrbench.errors import Notice, Topic, UsageError
from lrbench.files import read_file, replace_file
from lrbench.inputs import host_of
from lrbench.options import CompareSpec, differences
from lrbench.run import conditions
from lrbench.run.store import Run
from lrbench.session.compare import asked
from lrbench.session.place import run_path
from lrbench.session.recorded import recorded, settled_so_far


def is_shard(run: Run) -> bool:
    return "shard" in (run.manifest or {}).get("options", {})


def merged(runs: Sequence[Run], out: Path | None) -> tuple[Run, list[Notice]]:
    """One run of all records, in `out` or where a comparison without shards would be.

    Raises:
        UsageError: a run is no shard of the same comparison, shards overlap, or have chosen other
            LRs.
        MachineError: the folder cannot be written.
    """
    first, *others = runs
    spec, manifest = recorded(first), first.manifest or {}
    for other in others:
        _refuse_mismatch(first, other)
    options = {name: v for name, v in manifest["options"].items() if name != "shard"}
    whole = Run(run_path("compare", spec.recipe, spec.fingerprint, out))
    if whole.path.resolve() in {run.path.resolve() for run in runs}:
        raise UsageError(f"--out {whole.path}: this is one of the shards")
    if whole.manifest is not None and recorded(whole).fingerprint != spec.fingerprint:
        raise UsageError(f"--out {whole.path}: it holds another comparison")
    numbers = _numbers(runs)
    wanted = {trial.id for trial in settled_so_far(spec, first).finals}
    for run in runs:
        _refuse_other_finals(first, run, wanted)
    with whole.writer():
        for run in runs:
            for name in (*run.finds, *run.histories):
                if not whole.journal_path(name).exists():
                    replace_file(whole.journal_path(name), read_file(run.journal_path(name)))
        whole.write_manifest({**manifest, **asked(spec, whole, options)})
    return Run(whole.path), _missing(numbers, runs, whole)


def _refuse_mismatch(first: Run, other: Run) -> None:
    a, b = first.manifest or {}, other.manifest or {}
    found = differences(a["experiment"], b["experiment"], CompareSpec)
    found += conditions.differences(a["machine"], b["machine"])
    if a["material"] != b["material"]:
        found.append("other code or data")
    if found:
        raise UsageError(
            f"{first.path} and {other.path} are not of the same comparison: {', '.join(found)}"
        )


def _numbers(runs: Sequence[Run]) -> dict[tuple[int, int], Run]:
    """The runs by their shards."""
    found: dict[tuple[int, int], Run] = {}
    for run in runs:
        if not is_shard(run):
            raise UsageError(f"{run.path} is not a shard: name shards alone")
        shard = host_of((run.manifest or {})["options"]).shard
        assert shard is not None
        if shard in found:
            raise UsageError(f"{found[shard].path} and {run.path} are the same shard")
        found[shard] = run
    if len({count for _, count in found}) > 1:
        names = ", ".join(f"{number}/{count}" for number, count in found)
        raise UsageError(f"the shards {names} are not of one division: final trials would overlap")
    return found


def _refuse_other_finals(first: Run, run: Run, wanted: Collection[str]) -> None:
    """On a GPU, two tunings need not choose the same LRs."""
    for name, history in run.histories.items():
        if history.spec.stage == "final" and name not in wanted:
            raise UsageError(
                f"{run.path} trains {history.spec.name} at LR {history.spec.lr:g}, which is not "
                f"what the tuning of {first.path} chose",
                hint="begin all shards from copies of one tuned run (--shard 0/N)",
            )


def _missing(numbers: dict[tuple[int, int], Run], runs: Sequence[Run], whole: Run) -> list[Notice]:
    count = next(iter(numbers))[1]
    absent = [str(n) for n in range(1, count + 1) if (n, count) not in numbers]
    if not absent:
        return []
    return [
        Notice(
            Topic.TRIALS_FAILED,
            f"shards {', '.join(absent)} of {count} are not here",
            f"name them as well, or train the rest: lrbench compare --resume {whole.path}",
        )
    ]
