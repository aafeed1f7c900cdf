"""`lrbench report` with several comparisons: the first against each of the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.text import Text

from lrbench.cli.common import as_json, notify, stdout
from lrbench.cli.comparison import document, rows
from lrbench.errors import Notice, Topic, printable
from lrbench.inputs import all_options
from lrbench.options import said
from lrbench.run.store import Run
from lrbench.session.recorded import recorded, summarised, write_files


def side_by_side(runs: Sequence[Run], *, json: bool) -> None:
    """Make each run's files again, and print what each schedule gains from the first run to each
    other: differences with intervals, and what differs between the experiments."""
    from lrbench.analysis import versus

    first, *others = [summarised(recorded(run), run) for run in runs]
    for run, summary in zip(runs, (first, *others), strict=True):
        write_files(summary, run)
    compared = versus(first, *others)
    pairs = [(run, compared[compared["run"] == i]) for i, run in enumerate(runs[1:])]
    if json:
        summaries = zip(runs, (first, *others), strict=True)
        found = {
            "runs": [document(summary, run.path) for run, summary in summaries],
            "versus": [
                {"a": str(runs[0].path), "b": str(run.path),
                 "differs": differing(runs[0], run), "schedules": rows(table)}
                for run, table in pairs
            ],
        }  # fmt: skip
        typer.echo(as_json(found))
        return
    from lrbench.report.console import versus_table

    for run, summary in zip(runs, (first, *others), strict=True):
        stdout().print(Text(f"{printable(str(run.path))}: {summary.sentence}\n"), soft_wrap=True)
    first_name = printable(str(runs[0].path))
    for run, table in pairs:
        notify(data_notices(runs[0], run))
        words = differing(runs[0], run)
        stdout().print(versus_table(table, first_name, printable(str(run.path)), words))


def differing(a: Run, b: Run) -> list[str]:
    """What differs between the experiments of two runs, as options, where they mean something in
    both. The table names the schedules."""
    old, new = (recorded(run) for run in (a, b))
    silent = {"schedule", "time_budget"}
    if not (old.auto and new.auto):
        silent |= {"range_test", "lr_points", "lr_factor"}
    before, after = (_settings(all_options(spec)) for spec in (old, new))
    return [
        f"--{key.replace('_', '-')} {said(before.get(key))} -> {said(after.get(key))}"
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key) and key.partition(" ")[0] not in silent
    ]


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, and each setting of the range test as one of its own."""
    tested = str(options.get("range_test", "")).split(",")
    settings = {f"range_test {key}": value for key, _, value in (t.partition("=") for t in tested)}
    return {key: value for key, value in options.items() if key != "range_test"} | settings


def data_notices(a: Run, b: Run) -> list[Notice]:
    data: list[dict[str, Any]] = [(run.manifest or {}).get("data", {}) for run in (a, b)]
    if data[0].get("digest") == data[1].get("digest"):
        return []
    return [
        Notice(
            Topic.OTHER,
            "the two runs were trained on different data",
            "differences between them may come from the data",
        )
    ]
