"""A run that goes on elsewhere: the real command, another number of threads."""

import json
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from tests.reliability.tools import SMALL, table


@pytest.mark.usefixtures("without_pictures")
def test_other_threads_are_refused_forced_and_told_and_done_trials_stay(
    tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "run"
    argv = [*SMALL, "--out", str(out)]
    assert run(argv) == 0
    before = table(out / "trials.csv")
    assert run([*argv, "--threads", "2"]) == 0  # nothing is left to do
    capsys.readouterr()
    more = [*argv, "--seeds", "3", "--threads", "2"]
    assert run(more) == 2
    assert "threads 1 -> 2" in capsys.readouterr().err
    assert run([*more, "--force"]) == 0
    after = {row["trial"]: row for row in table(out / "trials.csv")}
    for row in before:
        assert after[row["trial"]]["train_s"] == row["train_s"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["forced"] == ["threads 1 -> 2"] and manifest["threads"] == 1
    assert "--force" not in manifest["command_line"]
    capsys.readouterr()
    assert run(["report", str(out), "--json"]) == 0
    (said,) = [n for n in json.loads(capsys.readouterr().out)["notices"] if "conditions" in n]
    assert "threads 1" in said and "threads 2" in said
