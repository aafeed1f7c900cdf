"""Trials in processes of their own: the same bits, and nobody's fault but the trial's."""

import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lrbench.execute import Host, Workbench
from lrbench.execute.pool import Processes
from lrbench.models import build
from lrbench.options import Recipe
from lrbench.run.store import Run
from tests.reliability.tools import (
    alive,
    command,
    completed,
    finish,
    moody,
    processes,
    start,
    timeless,
    wait_for,
)

ARGV = ("compare", "--dataset", "synthetic", "--model", "moody", "--epochs", "2", "--lr", "0.1",
        "-s", "constant", "--quiet", "--out", "run", "--threads", "1")  # fmt: skip
PARALLEL = (*ARGV, "--jobs", "2", "--seeds", "3")
SAYS_SO = 'pathlib.Path(f"imported-{os.getpid()}").touch()\n'
DIES = """
if sys.argv[0] == "-c" and len([*pathlib.Path().glob("imported-*")]) <= {} + 1:
    os.kill(os.getpid(), 9)
"""  # the process that forks the workers
NETS = """
from lrbench.models import build

def net(image_shape, classes):
    return build("mlp", image_shape, classes)
"""


def test_workers_are_forked_once_and_give_the_bits_of_one_process(tmp_path: Path) -> None:
    """Budgets of several lengths, handed out longest first; two threads, set after the fork."""
    env = moody(tmp_path / "plugins", {}, SAYS_SO)
    argv = [*ARGV, "--lr", "0.05,0.1", "--tuning-seeds", "1", "--seeds", "2", "--threads", "2",
            "--budgets", "50%,100%"]  # fmt: skip
    completed(*argv, "--executor", "serial", "--out", "serial", cwd=tmp_path, env=env)
    for path in (*tmp_path.glob("imported-*"), *tmp_path.glob("process-*")):
        path.unlink()
    completed(*argv, "--jobs", "3", cwd=tmp_path, env=env)
    assert timeless(tmp_path / "run") == timeless(tmp_path / "serial")
    imported = set(processes(tmp_path, "imported"))
    assert len(imported) == 2
    trained = set(processes(tmp_path)) - imported
    assert len(trained) == 3, "they survive from the first stage to the last"
    assert not any(map(alive, trained))


def test_code_that_was_edited_before_a_worker_read_it_is_refused_by_name(tmp_path: Path) -> None:
    """The parent has read the file; the next process that imports it finds another one."""
    (tmp_path / "nets.py").write_text(NETS)
    edited = """
import pathlib, subprocess
begin = subprocess.Popen.__init__
def edit(self, *words, **more):
    if "lrbench.execute.worker" in str(words):
        path = pathlib.Path("nets.py")
        path.write_text(path.read_text().replace("mlp", "lenet"))
    begin(self, *words, **more)
subprocess.Popen.__init__ = edit
"""
    code, _, said = command(*PARALLEL, "--model", "nets:net", cwd=tmp_path, code=edited)
    assert code == 2 and "nets.py has changed since this run was started" in said
    assert not list(tmp_path.glob("run/trials/*/journal.jsonl"))


@pytest.mark.long
@pytest.mark.parametrize(("times", "code"), [(2, 0), (9, 3)])
def test_a_start_that_is_killed_is_repeated_twice(tmp_path: Path, times: int, code: int) -> None:
    env = moody(tmp_path / "plugins", {}, SAYS_SO + DIES.format(times))
    found, _, said = command(*PARALLEL, cwd=tmp_path, env=env)
    assert found == code, said
    assert code == 0 or "keep dying at startup (signal 9)" in said
    assert len(processes(tmp_path, "imported")) == 4


def test_processes_end_with_their_parent_within_a_long_call_of_c(tmp_path: Path) -> None:
    """Two workers that hold the interpreter's lock, so that no thread of theirs sees anything."""
    deed = "import ctypes; ctypes.PyDLL(None).sleep(600)"
    env = moody(tmp_path / "plugins", {"any": deed}, SAYS_SO)
    process = start(*PARALLEL, cwd=tmp_path, env=env)
    wait_for(lambda: len(processes(tmp_path)) == 2)
    time.sleep(0.2)
    others = {*processes(tmp_path), *processes(tmp_path, "imported")} - {process.pid}
    assert any(map(alive, others))
    process.send_signal(signal.SIGKILL)
    finish(process)
    wait_for(lambda: not any(map(alive, others)), timeout_s=3)


@pytest.mark.long
@pytest.mark.parametrize("more", [(), ("--jobs", "2")])
def test_a_file_of_weights_that_is_replaced_during_the_run_is_not_believed(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
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
    whole = build("mlp", (1, 28, 28), 10).state_dict()
    torch.save(whole, tmp_path / "w.pt")
    argv = (*ARGV, "--model", "mlp", "--seeds", "3", "--init-from", "w.pt", *more)
    completed(*argv, cwd=tmp_path, code=replacing)
    torch.save(whole, tmp_path / "w.pt")
    completed(*argv, "--out", "calm", cwd=tmp_path)
    assert timeless(tmp_path / "run")["trials.csv"] == timeless(tmp_path / "calm")["trials.csv"]


def test_a_new_worker_takes_the_place_of_the_dead_one(tmp_path: Path) -> None:
    crew = Processes(Workbench(Recipe(), Host()), Run(tmp_path), 3)
    nursery: Any = SimpleNamespace(worker=lambda place: SimpleNamespace(place=place))
    crew.nursery = nursery
    for _ in range(3):
        crew.workers.append(crew.hire())
    dead: Any = crew.workers.pop(1)
    new: Any = crew.hire()
    assert (dead.place, new.place) == (1, 1)
