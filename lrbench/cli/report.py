"""`lrbench report`: tables and plots again, from the records of a run. Without torch."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lrbench.cli import params as p
from lrbench.cli.comparison import retold
from lrbench.cli.exports import Exports, find_texts
from lrbench.cli.find import tell, told_again
from lrbench.cli.gate import check_conditions, enforce
from lrbench.cli.versus import side_by_side
from lrbench.errors import MachineError, UsageError
from lrbench.experiment import FindSpec
from lrbench.run.store import RunDir
from lrbench.session.compare import recorded


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs.")],
    fail_below: p.FailBelow = None,
    fail_if_worse_than: p.FailIfWorseThan = None,
    export_markdown: p.ExportMarkdown = None,
    export_csv: p.ExportCsv = None,
    export_json: p.ExportJson = None,
    tensorboard: p.Tensorboard = False,
    open_: Annotated[
        bool, typer.Option("--open", help="Open report.html in the browser.", show_default=False)
    ] = False,
    json: p.Json = False,
) -> None:
    """Make a run's tables and plots again, from its journals and its manifest alone. Several
    comparisons are put side by side: what each schedule gains from the first to the others."""
    check_conditions(fail_below, fail_if_worse_than)
    exports = Exports(export_markdown, export_csv, export_json, tensorboard)
    exports.check(json=json)
    if len(runs) > 1 and exports != Exports():
        raise UsageError("--export-… and --tensorboard are of one run: name one")
    manifests = {path: manifest_of(path) for path in runs}
    commands = {manifest.get("command") for manifest in manifests.values()}
    if len(manifests) > 1 and commands == {"compare"}:
        if fail_below is not None or fail_if_worse_than is not None:
            raise UsageError("--fail-below and --fail-if-worse-than judge one run: name one")
        side_by_side([RunDir(path) for path in manifests], json=json)
        _show(runs, open_)
        return
    if json and len(manifests) > 1:
        raise UsageError("--json prints one document: name one run, or several comparisons")
    exports.make()
    for path, manifest in manifests.items():
        run = RunDir(path)
        if manifest.get("command") == "find":
            retold_find(run, manifest, json=json, exports=exports)
        else:
            summary = retold(recorded(manifest, run), run, json=json, exports=exports)
            enforce(summary, fail_below, fail_if_worse_than)
    _show(runs, open_)


def _show(runs: list[Path], wanted: bool) -> None:
    """Open the pages of the runs in this machine's browser; raises MachineError without one."""
    for path in runs if wanted else ():
        page = (path / "report.html").absolute()
        if not webbrowser.open(page.as_uri()):
            raise MachineError(f"--open: no browser was found here; the page is {page}")


def manifest_of(path: Path) -> dict[str, Any]:
    """Raises UsageError where there is no run."""
    manifest = RunDir(path).manifest()
    if manifest is None:
        raise UsageError(f"{path}: there is no run in this folder")
    return manifest


def retold_find(run: RunDir, manifest: Mapping[str, Any], *, json: bool, exports: Exports) -> None:
    """Print the answer of a range test, and make its files again."""
    from lrbench.rangetest.result import FindResult
    from lrbench.report.find_files import write_find

    finds = run.known().finds
    with told_again(run):
        spec = FindSpec.model_validate(manifest["experiment"])
        found = finds.get(spec.id) or finds.get(manifest["fingerprint"])  # as older versions named
        if found is None:
            raise UsageError(f"{run.path}: its range test did not end; repeat the command")
        result = FindResult.from_dict(found)
        if not exports.to_stdout:
            tell(result, run, json=json)
        exports.write(find_texts(result))
        with run.writer():
            write_find(result, run.path)
