"""`lrbench report`: rebuilds tables and plots from the records of a run, without torch."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from lrbench.cli import params as p
from lrbench.cli.common import notify
from lrbench.cli.comparison import print_answer
from lrbench.cli.exports import Exports, find_texts
from lrbench.cli.find import print_answer as print_find
from lrbench.cli.gate import Conditions, ranked_name
from lrbench.cli.versus import side_by_side
from lrbench.errors import MachineError, UsageError
from lrbench.inputs import extrapolating
from lrbench.plugins import names_alone
from lrbench.run.store import Run, opened
from lrbench.session import find as swept
from lrbench.session import recorded as compared
from lrbench.session.shards import is_shard, merged

# fmt: off
Only = Annotated[list[str] | None, p.output(
    "--only -s", "Rank only this schedule, and change no files. Repeatable.",
    "Options", metavar="SPEC"
)]
Extrapolate = Annotated[str | None, p.output(
    "--extrapolate", "Also predict the best LR at this length, such as 40ep, as in compare.",
    hidden=True
)]
Open = Annotated[bool, p.output("--open", "Open report.html in a browser.", "Options")]
# fmt: on


@p.takes({})
def report(
    ctx: typer.Context,
    conditions: Conditions,
    exports: Exports,
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs.")],
    only: Only = None,
    extrapolate: Extrapolate = None,
    open_: Open = False,
    out: p.Out = None,
    details: p.Details = False,
    json: p.Json = False,
) -> None:
    """Rebuild a run's tables and plots from its journals and its manifest. For several comparisons,
    show what each schedule gains from the first run to each of the others. Shards (compare
    --shard) are merged into one run in --out."""
    ctx.with_resource(names_alone())
    exports.check(json=json)
    found = [opened(path) for path in runs]
    if any(map(is_shard, found)) and (len(found) > 1 or out):
        whole, notices = merged(found, out)
        notify(notices)
        found, runs = [whole], [whole.path]
    elif out is not None:
        raise UsageError("--out is for merging shards")
    commands = {run.manifest["command"] for run in found if run.manifest}
    judged = only or extrapolate or conditions != Conditions()
    if len(runs) > 1 and (judged or exports != Exports()):
        raise UsageError(
            "--only, --extrapolate, --fail-…, --export-… and --tensorboard take a single run"
        )
    if commands != {"compare"} and (judged or exports.tensorboard):
        raise UsageError(
            f"{runs[0]}: --only, --extrapolate, --fail-… and --tensorboard are for a comparison"
        )
    if len(found) > 1 and commands == {"compare"}:
        side_by_side(found, json=json)
        _show(runs, open_)
        return
    if json and len(found) > 1:
        raise UsageError("--json prints one document: name one run, or several comparisons")
    exports.make()
    for run in found:
        if run.manifest and run.manifest["command"] == "find":
            _report_find(run, json=json, exports=exports)
        else:
            spec = extrapolating(compared.recorded(run), extrapolate)
            conditions.check(spec)
            compared.refuse_lost(run)
            names = [ranked_name(text, spec.entrants, "--only") for text in only or ()]
            summary = compared.summarised(spec, run, names)
            print_answer(summary, run.path, json=json, details=details, exports=exports)
            if not only:
                compared.write_files(summary, run, exports.renderers)
            conditions.enforce(summary, quiet=json)
    _show(runs, open_)


def _report_find(run: Run, *, json: bool, exports: Exports) -> None:
    """Print the answer of a range test and rebuild its files."""
    from lrbench.report.find_files import write_find

    with swept.readable(run):
        result = swept.answer(run)
        if not exports.to_stdout:
            print_find(result, run.path, json=json)
        exports.write(find_texts(result))
        with run.writer():
            write_find(result, run.path, run.manifest)


def _show(runs: list[Path], wanted: bool) -> None:
    """Open the pages of the runs in a browser; raises MachineError if there is none."""
    for path in runs if wanted else ():
        page = (path / "report.html").absolute()
        if not webbrowser.open(page.as_uri()):
            raise MachineError(f"--open: found no browser; the page is {page}")
