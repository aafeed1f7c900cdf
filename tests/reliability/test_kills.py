"""kill -9: at every point between two writes, at random moments, and of the one that writes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.execute import Workbench
from lrbench.files import is_scratch
from lrbench.run.store import Run
from tests.reliability.tools import (
    ONE_LR,
    ROOT,
    environment,
    finish,
    record,
    start,
    timeless,
    wait_for,
)


@pytest.mark.parametrize("stride", [17, pytest.param(1, marks=pytest.mark.soak)])
def test_a_kill_at_every_point_between_two_writes_changes_nothing(
    tmp_path: Path, stride: int
) -> None:
    argv = [sys.executable, "-m", "tests.reliability.killed", str(tmp_path), str(stride),
            "compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "2", "--lr", "0.1",
            "-s", "constant", "--seeds", "1", "--threads", "1", "--quiet"]  # fmt: skip
    found = subprocess.run(
        argv, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600, check=True
    )
    points = [json.loads(line) for line in found.stdout.splitlines() if line.startswith('{"point')]
    assert len(points) > 40 / stride, found.stderr
    assert {point["again"] for point in points} == {0}, found.stderr
    whole = timeless(tmp_path / "whole")
    for point in points:
        folder = tmp_path / f"point-{point['point']:03d}"
        assert timeless(folder) == whole, point
        left = [path for path in folder.rglob("*") if path.name == "state.pt" or is_scratch(path)]
        assert not left, point
    record("kill between two writes", f"{len(points)} points", "0 runs with other tables")


LENET = ("compare", "--dataset", "mnist5k", "--model", "lenet", "--epochs", "12", "--lr", "0.05",
         "-s", "constant", "-s", "cosine", "--seeds", "1", "--threads", "1", "--quiet")  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        pytest.param((*ONE_LR, "--epochs", "60"), 1, marks=pytest.mark.long),
        pytest.param(LENET, int(os.environ.get("SOAK_KILLS", "100")), marks=pytest.mark.soak),
    ],
    ids=["small", "lenet"],
)
def test_runs_killed_at_random_moments_end_as_if_they_had_not_been(
    tmp_path: Path, argv: tuple[str, ...], wanted: int
) -> None:
    """Whole runs, one after the other, until there were enough kills."""
    began = time.monotonic()
    assert finish(start(*argv, "--out", "whole", cwd=tmp_path), 3600)[0] == 0
    most_s = min(time.monotonic() - began, 20.0)
    kills = runs = 0
    while kills < wanted:
        runs += 1
        for left in range(min(25, 3 + wanted - kills), -1, -1):
            process = start(*argv, "--out", f"killed-{runs}", cwd=tmp_path)
            if left:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(random.SystemRandom().uniform(0, most_s))
                process.kill()
            code, _, said = finish(process, 3600)
            assert code in ((0, -signal.SIGKILL) if left else (0,)), said
            if code == 0:
                break
            kills += 1
        assert timeless(tmp_path / f"killed-{runs}") == timeless(tmp_path / "whole")
    record(
        f"kill -9 at random moments: {argv[4]} on {argv[2]}", f"{kills} kills over {runs} runs",
        "0 rows lost, doubled or changed",
    )  # fmt: skip


def test_the_second_is_turned_away_before_it_reads_data_and_a_killed_first_holds_nothing(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    first = start(*ONE_LR, "--epochs", "3000", "--out", "run", cwd=tmp_path)
    wait_for(lambda: list(out.glob("trials/*/journal.jsonl")))

    def opened(*_: Any) -> None:
        raise AssertionError("it opened the data first")

    monkeypatch.setattr(Workbench, "open", opened)
    again = [*ONE_LR, "--epochs", "3000", "--out", str(out)]
    for argv in (again, ["compare", "--resume", str(out)], ["find", "--out", str(out)]):
        assert run(argv) == 3
        assert f"in use by process {first.pid} on " in capsys.readouterr().err
    first.send_signal(signal.SIGKILL)
    finish(first)
    with Run(out).writer():
        pass
