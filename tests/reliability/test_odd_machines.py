"""Machines with other threads; without a GPU, a home, a terminal, colours, or non-ASCII letters."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.__main__ import run
from tests.reliability.tools import SMALL, command, completed, environment, table


@pytest.mark.long
def test_no_home_no_terminal_no_colour_no_utf8_forty_columns(tmp_path: Path) -> None:
    bare = environment(
        LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", NO_COLOR="1", COLUMNS="40",
        TERM="dumb", CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    for name in ("HOME", "XDG_CACHE_HOME", "LANG", "PYTHONIOENCODING"):
        bare.pop(name, None)
    argv = [arg for arg in SMALL if arg != "--quiet"]
    code, out, err = command(*argv, "--out", "run", cwd=tmp_path, env=bare)
    assert code == 0 and "\x1b" not in out + err and "Traceback" not in err
    assert (out + err).isascii() and "tuning: 4 trials" in err
    completed("report", "run", cwd=tmp_path, env=bare)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    code, _, err = command(*SMALL, "--device", "cuda:7", cwd=tmp_path)
    assert code == 3 and len(err.splitlines()) == 1
    assert "--device cuda:7" in err and "use --device cpu" in err
    assert os.listdir(tmp_path) == []


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
