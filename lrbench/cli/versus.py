"""`lrbench report` with several comparisons: the first against each of the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.text import Text

from lrbench.cli.common import as_json, notify, stdout
from lrbench.cli.comparison import document, rows
from lrbench.errors import Notice, Topic, printable
from lrbench.inputs import all_options
from lrbench.options import ONLY_AUTO, said
from lrbench.run.store import Run
from lrbench.session.recorded import recorded, summarised, write_files


def side_by_side(runs: Sequence[Run], *, json: bool) -> None:
    """Rebuild each run's files, and print what each schedule gains from the first run to each of
    the others: differences with intervals, and how the experiments differ."""
    from lrbench.analysis import versus

    paths = [str(run.path) for run in runs]
    summaries = [summarised(recorded(run), run) for run in runs]
    for run, summary in zip(runs, summaries, strict=True):
        write_files(summary, run)
    table = versus(*summaries)
    pairs = [
        (run, differing(runs[0], run), table[table["run"] == i]) for i, run in enumerate(runs[1:])
    ]
    if json:
        found = {
            "runs": [document(*each) for each in zip(summaries, paths, strict=True)],
            "versus": [
                {"a": paths[0], "b": str(run.path), "differs": words, "schedules": rows(part)}
                for run, words, part in pairs
            ],
        }
        typer.echo(as_json(found))
        return
    from lrbench.report.console import versus_table

    for path, summary in zip(paths, summaries, strict=True):
        stdout().print(Text(f"{printable(path)}: {summary.sentence}\n"), soft_wrap=True)
    for run, words, part in pairs:
        notify(data_notices(runs[0], run))
        a, b = printable(paths[0]), printable(str(run.path))
        stdout().print(versus_table(part, a, b, words))


def differing(a: Run, b: Run) -> list[str]:
    """How the experiments of two runs differ: in options that apply to both, and in schedules."""
    old, new = (recorded(run) for run in (a, b))
    silent = {"schedule", "time_budget"}
    if not (old.auto and new.auto):
        silent |= {*ONLY_AUTO}
    before, after = (_settings(all_options(spec)) for spec in (old, new))
    options = [
        f"--{key.replace('_', '-')} {said(before.get(key))} -> {said(after.get(key))}"
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key) and key.partition(" ")[0] not in silent
    ]
    alone = [
        f"{name} is in {letter} alone"
        for letter, here, there in (("A", old, new), ("B", new, old))
        for name in here.schedules
        if name not in there.schedules
    ]
    return [*options, *alone]


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with each setting of the range test as a separate option."""
    tested = str(options.get("range_test", "")).split(",")
    settings = {f"range_test {key}": value for key, _, value in (t.partition("=") for t in tested)}
    return {key: value for key, value in options.items() if key != "range_test"} | settings


def data_notices(a: Run, b: Run) -> list[Notice]:
    data: list[dict[str, Any]] = [(run.manifest or {}).get("data", {}) for run in (a, b)]
    if data[0].get("digest") == data[1].get("digest"):
        return []
    what = "the two runs were trained on different data"
    return [Notice(Topic.OTHER, what, "differences between them may come from the data")]
