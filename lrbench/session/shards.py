"""Independent shares of a comparison, and the run they form when merged.

The final trials depend on the whole tuning, so every shard repeats it, or starts from a copy of a
tuned run (`--shard 0/N`). The final trials are dealt out round-robin.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from lrbench.errors import Notice, Topic, UsageError
from lrbench.files import read_file, replace_file
from lrbench.options import CompareSpec, differences
from lrbench.run import conditions
from lrbench.run.store import Run
from lrbench.session.compare import asked
from lrbench.session.place import run_path
from lrbench.session.recorded import recorded, settled_so_far


def is_shard(run: Run) -> bool:
    return "shard" in (run.manifest or {}).get("options", {})


def merged(runs: Sequence[Run], out: Path | None) -> tuple[Run, list[Notice]]:
    """Merge all records into one run, in `out` or where a run without shards would be.

    Raises:
        UsageError: a run is not a shard of the same comparison, or shards overlap or have chosen
            different LRs.
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
    absent = _absent(runs)
    wanted = {trial.id for trial in settled_so_far(spec, first).finals}
    for run in runs:
        _refuse_other_finals(first, run, wanted)
    with whole.writer():
        for run in runs:
            for name in (*run.finds, *run.histories):
                if not whole.journal_path(name).exists():
                    replace_file(whole.journal_path(name), read_file(run.journal_path(name)))
        whole.write_manifest({**manifest, **asked(spec, whole, options)})
    said = f"missing shards: {', '.join(absent)}"
    remedy = f"name them as well, or train the rest: lrbench compare --resume {whole.path}"
    return Run(whole.path), [Notice(Topic.TRIALS_FAILED, said, remedy)] if absent else []


def _refuse_mismatch(first: Run, other: Run) -> None:
    a, b = first.manifest or {}, other.manifest or {}
    found = differences(a["experiment"], b["experiment"], CompareSpec)
    found += conditions.differences(a["machine"], b["machine"])
    found += ["other code or data"] if a["material"] != b["material"] else []
    if found:
        raise UsageError(
            f"{first.path} and {other.path} belong to different comparisons: {', '.join(found)}"
        )


def _absent(runs: Sequence[Run]) -> list[str]:
    """The shards that are missing from the runs, such as `2/3`."""
    found: dict[str, Run] = {}
    for run in runs:
        if not is_shard(run):
            raise UsageError(f"{run.path} is not a shard: name only shards")
        typed = (run.manifest or {})["options"]["shard"]
        shard = "/".join(str(int(part)) for part in typed.split("/"))
        if shard in found:
            raise UsageError(f"{found[shard].path} and {run.path} are the same shard")
        found[shard] = run
    counts = {shard.partition("/")[2] for shard in found}
    if len(counts) > 1:
        raise UsageError(
            f"the shards {', '.join(found)} divide the run differently: final trials would overlap"
        )
    (count,) = counts
    whole = [f"{number}/{count}" for number in range(1, int(count) + 1)]
    return [shard for shard in whole if shard not in found]


def _refuse_other_finals(first: Run, run: Run, wanted: Collection[str]) -> None:
    """On a GPU, two tunings need not choose the same LRs."""
    for name, history in run.histories.items():
        if history.spec.stage == "final" and name not in wanted:
            raise UsageError(
                f"{run.path} trains {history.spec.name} at LR {history.spec.lr:g}, which is not "
                f"what the tuning of {first.path} chose",
                hint="start all shards from copies of one tuned run (--shard 0/N)",
            )
