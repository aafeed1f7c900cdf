"""Trials in processes of their own: the same bits, and nobody's fault but the trial's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lrbench.execute import Host, Workbench
from lrbench.execute.pool import Processes
from lrbench.options import Recipe
from lrbench.run.store import Run
from tests.reliability import tools
from tests.reliability.tools import alive, command, environment, timeless, wait_for

NETS = """
import ctypes, os, pathlib, sys, time
import torch
from torch import nn

pathlib.Path(f"imported-{os.getpid()}").touch()
DEED = os.environ.get("DEED", "")
if DEED == "end the nursery" and sys.argv[0] == "-c":
    if len(list(pathlib.Path().glob("imported-*"))) <= int(os.environ["TIMES"]) + 1:
        os.kill(os.getpid(), 9)

class Net(nn.Sequential):
    def forward(self, x):
        pathlib.Path(f"trained-{os.getpid()}").touch()
        if torch.initial_seed() == 1 and "trained" in DEED:
            exec(DEED.partition(": ")[2])
        return super().forward(x)

def net(image_shape, classes):
    size = image_shape[0] * image_shape[1] * image_shape[2]
    return Net(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, classes))
"""
ARGV = ("compare", "--dataset", "synthetic", "--model", "nets:net", "--epochs", "2", "--lr", "0.1",
        "-s", "constant", "--quiet", "--out", "run", "--threads", "1")  # fmt: skip
PARALLEL = (*ARGV, "--jobs", "2", "--seeds", "3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path


def processes(folder: Path, what: str) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob(f"{what}-*")]


def test_workers_are_forked_once_and_give_the_bits_of_one_process(folder: Path) -> None:
    """Budgets of several lengths, handed out longest first; two threads, set after the fork."""
    argv = [*ARGV, "--lr", "0.05,0.1", "--tuning-seeds", "1", "--seeds", "2", "--threads", "2",
            "--budgets", "50%,100%"]  # fmt: skip
    assert command(*argv, "--executor", "serial", "--out", "serial", cwd=folder)[0] == 0
    for path in (*folder.glob("imported-*"), *folder.glob("trained-*")):
        path.unlink()
    code, _, said = command(*argv, "--jobs", "3", cwd=folder)
    assert code == 0, said
    assert timeless(folder / "run") == timeless(folder / "serial")
    assert len(processes(folder, "imported")) == 2
    trained = set(processes(folder, "trained")) - set(processes(folder, "imported"))
    assert len(trained) == 3, "they survive from the first stage to the last"
    assert not any(map(alive, trained))


def test_code_that_was_edited_before_a_worker_read_it_is_refused_by_name(folder: Path) -> None:
    """The parent has read the file; the next process that imports it finds another one."""
    edited = """
import pathlib, subprocess
begin = subprocess.Popen.__init__
def edit(self, *words, **more):
    if "lrbench.execute.worker" in str(words):
        path = pathlib.Path("nets.py")
        path.write_text(path.read_text().replace("64", "4"))
    begin(self, *words, **more)
subprocess.Popen.__init__ = edit
"""
    code, _, said = command(*PARALLEL, cwd=folder, code=edited)
    assert code == 2 and "nets.py has changed since this run was started" in said
    assert not list(folder.glob("run/trials/*/journal.jsonl"))


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("trained: sys.exit(3)", "SystemExit: 3 (nets.py"),
        ("trained: os._exit(3)", "its process died 3 times (exit code 3)"),
        pytest.param("trained: raise BaseException(1)", "BaseException: 1", marks=pytest.mark.long),
    ],
)
def test_whatever_a_model_does_is_the_fault_of_its_trial(
    folder: Path, deed: str, reason: str
) -> None:
    code, _, said = command(*PARALLEL, cwd=folder, env=environment(DEED=deed))
    assert code == 1, said
    rows = {row["seed"]: row for row in tools.table(folder / "run" / "trials.csv")}
    assert [rows[seed]["status"] for seed in "012"] == ["done", "failed", "done"]
    assert rows["1"]["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("times", "code"), [("2", 0), pytest.param("9", 3, marks=pytest.mark.long)]
)
def test_a_start_that_is_killed_is_repeated_twice(folder: Path, times: str, code: int) -> None:
    env = environment(DEED="end the nursery", TIMES=times)
    found, _, said = command(*PARALLEL, cwd=folder, env=env)
    assert found == code, said
    assert code == 0 or "ended at its start, again and again (signal 9)" in said
    assert len(processes(folder, "imported")) == 4


def test_processes_end_with_their_parent_within_a_long_call_of_c(folder: Path) -> None:
    """Two workers that hold the interpreter's lock, so that no thread of theirs sees anything."""
    deed = "trained: ctypes.PyDLL(None).sleep(600)"
    process = tools.start(*PARALLEL, cwd=folder, env=environment(DEED=deed))
    wait_for(lambda: len(processes(folder, "trained")) >= 3)
    time.sleep(0.2)
    others = {*processes(folder, "trained"), *processes(folder, "imported")} - {process.pid}
    assert any(map(alive, others))
    process.send_signal(signal.SIGKILL)
    tools.finish(process)
    wait_for(lambda: not any(map(alive, others)), timeout_s=3)


@pytest.mark.parametrize("more", [(), pytest.param(("--jobs", "2"), marks=pytest.mark.long)])
def test_a_file_of_weights_that_is_replaced_during_the_run_is_not_believed(
    folder: Path, more: tuple[str, ...]
) -> None:
    saving = "import nets, torch; torch.save(nets.net((1, 28, 28), 10).state_dict(), 'w.pt')"
    replacing = """
import torch
from lrbench.run.store import Run
note = Run.note
def replaced(self, trial, records):
    note(self, trial, records)
    state = torch.load("w.pt", weights_only=True)
    torch.save({name: value * 0 for name, value in state.items()}, "w.pt")
Run.note = replaced
"""
    env = {**os.environ, "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-c", saving], cwd=folder, env=env, check=True)
    whole = torch.load(folder / "w.pt", weights_only=True)
    argv = (*ARGV, "--seeds", "3", "--init-from", "w.pt", *more)
    code, _, said = command(*argv, cwd=folder, code=replacing)
    assert code == 0, said
    torch.save(whole, folder / "w.pt")
    assert command(*argv, "--out", "calm", cwd=folder)[0] == 0
    assert timeless(folder / "run")["trials.csv"] == timeless(folder / "calm")["trials.csv"]


def test_a_new_worker_takes_the_place_of_the_dead_one(tmp_path: Path) -> None:
    crew = Processes(Workbench(Recipe(), Host()), Run(tmp_path), 3)
    nursery: Any = SimpleNamespace(worker=lambda place: SimpleNamespace(place=place))
    crew.nursery = nursery
    for _ in range(3):
        crew.workers.append(crew.hire())
    dead: Any = crew.workers.pop(1)
    new: Any = crew.hire()
    assert (dead.place, new.place) == (1, 1)
