"""The user's own parts on the command line, from the working folder."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pandas as pd
import pytest

from lrbench.__main__ import run

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SMALL = ["-s", "cosine", "-s", "constant", "--epochs", "1", "--seeds", "2", "--threads", "1"]

PARTS = """
print("imported")
import numpy as np
import torch
from torch import nn


def load():
    random = np.random.RandomState(0)
    patterns = random.rand(3, 16, 16)

    def split(count):
        labels = np.arange(count) % 3
        return (patterns[labels] + 0.3 * random.randn(count, 16, 16)), labels

    return split(240), split(60)


class Net(nn.Module):
    def __init__(self, image_shape, num_classes):
        super().__init__()
        self.head = nn.Linear(image_shape[1] * image_shape[2], num_classes)

    def forward(self, images):
        print("asked for", len(images))
        return self.head(images.flatten(1))


def noise(images, generator):
    return images + 0.1 * torch.randn(images.shape, generator=generator)


one = load


def halved(step, steps, steps_per_epoch):
    return 1.0 if step < steps / 2 else 0.5


def boom(step, steps, steps_per_epoch):
    return 1 / (step - 5)
"""
OWN = [
    "--model", "parts:Net", "--dataset", "parts:load", "--augment", "parts:noise",
    "--loss", "torch.nn:CrossEntropyLoss", "--optimizer", "torch.optim:Adagrad",
    "--opt", "lr_decay=0.01", "--batch-size", "32",
]  # fmt: skip


@pytest.fixture
def lrbench(monkeypatch: Any, capsys: Any) -> Iterator[Callable[..., CompletedProcess[str]]]:
    """Runs a command in a folder; like a new process, it has imported nothing of the user's."""
    monkeypatch.setenv("COLUMNS", "200")

    def forget() -> None:
        for name in ("parts", "regression", "char_lm"):
            sys.modules.pop(name, None)

    def called(*argv: str, cwd: Path) -> CompletedProcess[str]:
        forget()
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        return CompletedProcess(argv, run([*argv]), *capsys.readouterr())

    yield called
    forget()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts.py").write_text(PARTS)
    return tmp_path


def test_everything_of_ones_own_and_a_change_of_it_refused(folder: Path, lrbench: Any) -> None:
    argv = ["compare", *OWN, *SMALL, "-s", "parts:halved", "--lr", "0.01,0.03", "--out", "run"]
    done = lrbench(*argv, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    ranking = json.loads(done.stdout)["ranking"]
    assert {row["schedule"] for row in ranking} == {"cosine", "constant", "parts:halved"}
    assert min(row["metric_mean"] for row in ranking) > 0.9
    manifest: dict[str, Any] = json.loads((folder / "run" / "manifest.json").read_text())
    assert set(manifest["code"]) == {"parts.py"}
    assert manifest["data"]["name"] == "parts:load" and len(manifest["data"]["digest"]) == 64
    again = lrbench(*argv, "--seeds", "3", "--quiet", cwd=folder)
    assert again.returncode == 0, again.stderr
    trials = (folder / "run" / "trials.csv").read_text()
    (folder / "parts.py").write_text(PARTS.replace("0.5\n", "0.6\n"))
    refused = lrbench(*argv, "--seeds", "4", cwd=folder)
    assert refused.returncode == 2
    assert refused.stderr.strip().split("\n")[-1] == (
        "lrbench: error: parts.py has changed since this run was started; undo the change, or "
        "choose another folder with --out"
    )
    assert (folder / "run" / "trials.csv").read_text() == trials
    assert lrbench("report", "run", cwd=folder).returncode == 0


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        ("SparseAdam", "training with torch.optim:SparseAdam: RuntimeError: SparseAdam does not"),
        ("LBFGS", "--optimizer torch.optim:LBFGS: its steps need a closure"),
    ],
)
def test_an_optimizer_that_cannot_train_is_one_line_of_find(
    optimizer: str, words: str, tmp_path: Path, lrbench: Any
) -> None:
    argv = ["find", "--dataset", "synthetic", "--model", "mlp", "--quiet", "--out", "run"]
    done = lrbench(*argv, "--optimizer", f"torch.optim:{optimizer}", cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr


@pytest.mark.parametrize("command", ["compare", "find"])
def test_what_an_own_schedule_raises_is_one_line(command: str, folder: Path, lrbench: Any) -> None:
    said = lrbench(command, *OWN, "--epochs", "1", "--schedule", "parts:boom", cwd=folder)
    assert said.returncode == 2
    assert "--schedule parts:boom: ZeroDivisionError: division by zero (parts.py" in said.stderr
    assert "Traceback" not in said.stderr


def test_find_and_check_take_them_too(folder: Path, lrbench: Any) -> None:
    argv = ["find", *OWN, "--points", "30", "--seeds", "1", "--no-verify", "--out", "found"]
    done = lrbench(*argv, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 1e-4 < found["lr"] < 1
    assert "--opt lr_decay=0.01" in lrbench(*argv, "--quiet", cwd=folder).stdout
    said = lrbench("data", "check", "parts:one", cwd=folder).stdout
    assert "parts:one: 240 training and 60 test images of 1×16×16, 3 classes" in said
    (folder / "notes.txt").write_text("notes")
    assert (
        "notes.txt: 5 characters" in lrbench("data", "check", "text:notes.txt", cwd=folder).stdout
    )
    (folder / "parts.py").write_text(PARTS + "\n")
    assert "parts.py has changed" in lrbench(*argv, cwd=folder).stderr


@pytest.mark.parametrize(
    "task", ["regression:Surface", pytest.param("char_lm:Zen", marks=pytest.mark.long)]
)
def test_the_examples_are_found_and_ranked_by_loss(task: str, tmp_path: Path, lrbench: Any) -> None:
    optimizer = ["--optimizer", "adamw"] if task.startswith("char") else []

    def answer(command: str, *argv: str) -> Any:
        words = [command, "--task", task, *optimizer, *argv, "--json"]
        done = lrbench(*words, "--out", str(tmp_path / command), cwd=EXAMPLES)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    lr = answer("find", "--seeds", "1", "--no-verify", "--device", "cpu")["lr"]
    ranked = answer("compare", *SMALL, "--lr", repr(lr))
    assert ranked["metric"] == "test_loss"
    means = [row["metric_mean"] for row in ranked["ranking"]]
    assert means == sorted(means)
    trials = pd.read_csv(tmp_path / "compare" / "trials.csv")
    assert trials["test_accuracy"].isna().all()
    assert (trials["val_loss"] < trials["start_loss"]).all()
    assert (tmp_path / "compare" / "plots" / "loss.png").exists()


@pytest.mark.parametrize("command", ["compare", "find"])
def test_a_wrong_task_is_one_line(command: str, tmp_path: Path, lrbench: Any) -> None:
    argv = [command, "--task", "regression:Batch", "--out", str(tmp_path / "run")]
    done = lrbench(*argv, cwd=EXAMPLES)
    assert done.returncode == 2 and "--task regression:Batch: " in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1 and not (tmp_path / "run").exists()
