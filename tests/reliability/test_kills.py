"""kill -9: at every point between two writes, and at random moments of the real command."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrbench.files import is_scratch
from tests.reliability.tools import ROOT, SMALL, environment, finish, record, start, table, timeless


@pytest.mark.parametrize("stride", [17, pytest.param(1, marks=pytest.mark.soak)])
def test_a_kill_at_every_point_between_two_writes_changes_nothing(
    tmp_path: Path, stride: int
) -> None:
    argv = ["compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "2", "--lr", "0.1",
            "-s", "constant", "--seeds", "1", "--threads", "1", "--quiet"]  # fmt: skip
    found = subprocess.run(
        [sys.executable, "-m", "tests.reliability.killed", str(tmp_path), str(stride), *argv],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
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


def killed_at_random(argv: tuple[str, ...], folder: Path, kills: int, most_s: float) -> list[float]:
    """Begin the command again and again, killing it after a random while, at most so often;
    then let it end. Gives the seconds of training that each kill may have cost: since the last
    checkpoint, or since the trial's or the process's start."""
    chance, lost = random.Random(int.from_bytes(os.urandom(8), "big")), []
    while True:
        began = time.time()
        process = start(*argv, "--out", folder.name, cwd=folder.parent)
        if len(lost) == kills:
            code, _, said = finish(process, 3600)
            assert code == 0, said
            return lost
        try:
            process.wait(chance.uniform(0, most_s))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        code, _, said = finish(process)
        assert code in (0, -signal.SIGKILL), said
        if code == 0:
            return lost
        lost.append(time.time() - last_safe(folder, began))


def last_safe(folder: Path, began: float) -> float:
    """When the run could last have gone on from, in seconds since the epoch."""
    kept = [path.stat().st_mtime for path in folder.glob("trials/*/state.pt")]
    ended = [path.stat().st_mtime for path in folder.glob("trials/*/journal.jsonl")
             if b'"kind":"end"' in path.read_bytes()]  # fmt: skip
    return max([began, *kept, *ended])


@pytest.mark.long
def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    argv = (*SMALL, "--lr", "0.1", "--epochs", "60")
    process = start(*argv, "--out", "whole", cwd=tmp_path)
    began = time.monotonic()
    assert finish(process)[0] == 0
    killed_at_random(argv, tmp_path / "killed", 3, time.monotonic() - began)
    assert timeless(tmp_path / "killed") == timeless(tmp_path / "whole")
    assert len(table(tmp_path / "killed" / "epochs.csv")) == 4 * 60


LENET = ("compare", "--dataset", "mnist5k", "--model", "lenet", "--epochs", "12", "--lr", "0.05",
         "-s", "constant", "-s", "cosine", "--seeds", "1", "--threads", "1", "--quiet")  # fmt: skip


@pytest.mark.soak
def test_a_hundred_kills_while_lenet_trains(tmp_path: Path) -> None:
    """Whole runs, one after the other, until there were enough kills or time is up."""
    wanted = int(os.environ.get("SOAK_KILLS", "100"))
    until = time.monotonic() + float(os.environ.get("SOAK_S", "6000"))
    process = start(*LENET, "--out", "whole", cwd=tmp_path)
    began = time.monotonic()
    assert finish(process, 3600)[0] == 0
    whole_s = time.monotonic() - began
    lost: list[float] = []
    runs = 0
    while len(lost) < wanted and time.monotonic() < until:
        runs += 1
        kills = min(25, wanted - len(lost))
        lost += killed_at_random(LENET, tmp_path / f"killed-{runs}", kills, min(whole_s, 20.0))
        assert timeless(tmp_path / f"killed-{runs}") == timeless(tmp_path / "whole")
    record(
        "kill -9 at random moments, lenet on mnist5k", f"{len(lost)} kills over {runs} runs",
        "0 rows lost, doubled or changed; last safe point at most "
        f"{max(lost):.1f} s before a kill, start of the process included",
    )  # fmt: skip
