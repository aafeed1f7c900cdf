"""`lrbench report`: tables and plots again, from the records of a run. Without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lrbench.cli import params as p
from lrbench.cli.comparison import retold
from lrbench.cli.find import tell
from lrbench.errors import UsageError
from lrbench.experiment import FindSpec
from lrbench.pipeline import recorded
from lrbench.store import RunDir


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs.")],
    json: p.Json = False,
) -> None:
    """Make a run's tables and plots again, from its journals and its manifest alone."""
    if json and len(runs) > 1:
        raise UsageError("--json prints one document: name one run")
    for path in runs:
        run = RunDir(path)
        manifest = run.manifest()
        if manifest is None:
            raise UsageError(f"{path}: there is no run in this folder")
        if manifest.get("command") == "find":
            retold_find(run, manifest, json=json)
        else:
            retold(recorded(manifest, run), run, json=json)


def retold_find(run: RunDir, manifest: Mapping[str, Any], *, json: bool) -> None:
    """Make the files of a range test again, and print its answer."""
    from lrbench.rangetest.result import FindResult
    from lrbench.report.find_files import write_find

    spec = FindSpec.model_validate(manifest["experiment"])
    found = run.known().finds.get(spec.id)
    if found is None:
        raise UsageError(f"{run.path}: its range test did not end; repeat the command")
    result = FindResult.from_dict(found)
    with run.writer():
        write_find(result, run.path)
    tell(result, run, json=json)
