"""A range test whose trainings run in other processes: the answer of one process, to the bit."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import LrbenchError, MachineError, UsageError
from lrbench.execute import EXECUTORS, Host, Train, Workbench
from lrbench.options import FindSpec, Recipe
from lrbench.rangetest.training import Piece
from lrbench.run.store import Run

NETS = """
import os, pathlib, time
import torch
from torch import nn

PARENT, DEED = os.environ["PARENT"], os.environ.get("DEED", "")

class Net(nn.Sequential):
    def forward(self, x):
        self.passes = getattr(self, "passes", 0) + self.training
        if self.passes == 9 and str(os.getpid()) != PARENT:
            pathlib.Path(f"trained-{os.getpid()}").touch()
            exec(DEED)
        return super().forward(x)

def net(image_shape, classes):
    size = image_shape[0] * image_shape[1] * image_shape[2]
    parts = nn.Flatten(), nn.Linear(size, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, classes)
    return Net(*parts)
"""
ONCE = """
try:
    os.close(os.open("died", os.O_CREAT | os.O_EXCL))
    os.kill(os.getpid(), 9)
except FileExistsError:
    pass
"""
ONE_IS_SLOW = """
slow = pathlib.Path("slow")
if torch.initial_seed() == 5 and not slow.exists():
    slow.write_text(str(os.getpid()))
if slow.exists() and slow.read_text() == str(os.getpid()):
    time.sleep(0.3)
"""
RECIPE = Recipe(dataset="synthetic", model="nets:net")
SHORT = {"recipe": RECIPE, "points": 30, "start_lr": 1e-3, "seeds": (5, 6, 7), "verify_steps": 16}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PARENT", str(os.getpid()))
    yield Workbench(RECIPE, Host(device="cpu", threads=1, jobs=2))
    sys.modules.pop("nets", None)


def executor(bench: Workbench, name: str = "pool") -> AbstractContextManager[Train]:
    return EXECUTORS.get(name, option="--executor").make(bench, Run(Path("run")))


def losses(train: Train) -> list[Any]:
    return [(each.seed, loss) for each, found in train([piece(3)]) for loss in found]


def piece(seed: int, **more: Any) -> Piece:
    fields = {"kind": "sweep", "lrs": [0.01] * 12, "steps": 1, "judged": False, **more}
    return Piece(find=FindSpec(**SHORT), seed=seed, **fields)


@pytest.mark.parametrize(
    ("deed", "fields"),
    [
        (ONE_IS_SLOW, {"schedule": "cosine", "epochs": 1, "max_stable": False}),
        (ONCE, {"val_loss": True, "max_stable": True}),
    ],
    ids=["one is slow", "one dies"],
)
def test_two_processes_give_the_answer_of_one(
    bench: Workbench, deed: str, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first seed comes last, and where a worker dies in the middle of a sweep."""
    monkeypatch.setenv("DEED", deed)
    spec = FindSpec(**SHORT, verify=True, **fields)
    *_, alone = bench.find(spec)
    with executor(bench) as train:
        *progress, found = bench.find(spec, train)
    assert found.to_dict() == alone.to_dict()
    assert {event.stage for event in progress} >= {"sweep", "verify"}
    assert len(list(Path().glob("trained-*"))) == 2 + (deed == ONCE)


def test_what_was_asked_for_and_left_does_not_come_later(bench: Workbench) -> None:
    with executor(bench) as train:
        left = train([piece(1, lrs=[0.01] * 3_000), piece(2)])
        next(left)
        left.close()
        found = losses(train)
    with executor(bench, "serial") as train:
        assert losses(train) == found and len(found) == 12


@pytest.mark.parametrize(
    ("deed", "kind", "words"),
    [
        ("raise ValueError('odd')", UsageError, "range test: ValueError: odd"),
        ("os._exit(3)", MachineError, r"range test: its process died 3 times \(exit code 3\)"),
    ],
)
def test_what_ends_a_range_test_is_one_line(
    bench: Workbench, deed: str, kind: type[LrbenchError], words: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("DEED", deed)
    with executor(bench) as train, pytest.raises(kind, match=words):
        list(bench.find(FindSpec(**SHORT), train))
