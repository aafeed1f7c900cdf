"""`lrbench report`: tables and plots again, from the records of a run. Without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli import params as p
from lrbench.cli.comparison import retold
from lrbench.errors import UsageError
from lrbench.experiment import CompareSpec
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
        if manifest.get("command") != "compare":
            raise UsageError(f"{path}: a run of lrbench {manifest.get('command')} has no ranking")
        spec = CompareSpec.model_validate(manifest["experiment"])
        retold(spec, run, json=json)
