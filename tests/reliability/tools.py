"""The real command in a process of its own, and plug-ins that misbehave."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TIMES = {"train_s", "throughput_img_s", "time_to_target_s", "peak_mem_bytes"}
TABLES = ("trials.csv", "epochs.csv", "ranking.csv", "sensitivity.csv")
SMALL = (
    "compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "2", "--lr", "0.02,0.1",
    "-s", "constant", "-s", "cosine", "--seeds", "2", "--threads", "1", "--quiet",
    "--tuning-seeds", "1",
)  # fmt: skip
ONE_LR = (*SMALL, "--lr", "0.1")
MOODY = """
import hashlib, json, math, os, pathlib, signal, sys, time
import torch
from torch import nn
from lrbench.models import MODELS

@MODELS.register("moody", "does what $MOODS says of its seed")
def moody(image_shape, classes):
    moods = json.loads(os.environ["MOODS"])
    mood = moods.get(str(torch.initial_seed()), moods.get("any", ""))
    class Moody(nn.Sequential):
        def forward(self, x):
            pathlib.Path(f"process-{os.getpid()}").touch()
            exec(mood)
            return super().forward(x)
    return Moody(nn.Flatten(), nn.Linear(math.prod(image_shape), classes))

exec(os.environ["AT_IMPORT"])
"""


def environment(*folders: Path, **more: str) -> dict[str, str]:
    path = os.pathsep.join(map(str, (ROOT, *folders)))
    return {**os.environ, "PYTHONPATH": path, **more}


def start(
    *argv: str, cwd: Path, env: dict[str, str] | None = None, code: str = ""
) -> subprocess.Popen[str]:
    """Begin the real command; `code` is Python that runs in its process before it."""
    command = ["-m", "lrbench"]
    if code:
        command = ["-c", f"{code}\nfrom lrbench.__main__ import main\nmain()"]
    return subprocess.Popen(
        [sys.executable, *command, *argv], cwd=cwd, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env or environment(),
    )  # fmt: skip


def finish(process: subprocess.Popen[str], timeout_s: float = 300) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def command(
    *argv: str, cwd: Path, env: dict[str, str] | None = None, code: str = ""
) -> tuple[int, str, str]:
    return finish(start(*argv, cwd=cwd, env=env, code=code))


def completed(*argv: str, **settings: Any) -> None:
    """Run the real command, which has to end well."""
    code, _, said = command(*argv, **settings)
    assert code == 0, said


def wait_for(condition: Callable[[], object], timeout_s: float = 300) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "what was waited for did not come"
        time.sleep(0.02)


def plugin(folder: Path, name: str, source: str, group: str = "lrbench.models") -> Path:
    """A distribution with one entry point, as pip would leave it: put the folder on PYTHONPATH."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}\n")
    return folder


def moody(folder: Path, moods: Mapping[str, str], at_import: str = "") -> dict[str, str]:
    """An environment with `--model moody`: each of its steps runs the code that goes with its
    seed, or with "any"."""
    if not (folder / "moody.py").exists():
        plugin(folder, "moody", MOODY)
    return environment(folder, MOODS=json.dumps(moods), AT_IMPORT=at_import)


def processes(folder: Path, what: str = "process") -> list[int]:
    """Those that took a step with `--model moody`, or left marks of another name."""
    return [int(path.name.partition("-")[2]) for path in folder.glob(f"{what}-*")]


def epochs_in(run: Path) -> int:
    """How many epochs the journals of a run hold."""
    found = [path.read_bytes() for path in run.glob("trials/*/journal.jsonl")]
    return sum(text.count(b'"kind":"epoch"') for text in found)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def timeless(run: Path) -> dict[str, list[dict[str, str]]]:
    """Every table of a run without the columns of time."""
    return {
        name: [{k: v for k, v in row.items() if k not in TIMES} for row in table(run / name)]
        for name in TABLES
    }


def state(pid: int) -> str:
    """The letter of `ps` for what a process does; X where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def alive(pid: int) -> bool:
    """Whether a process runs: one that waits to be buried does not."""
    return state(pid) not in "ZX"


def record(what: str, how_much: str, outcome: str) -> None:
    """A line for the table of a soak run, where one is kept."""
    if path := os.environ.get("SOAK_TABLE"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"| {what} | {how_much} | {outcome} |\n")


def unwarned(said: str) -> list[str]:
    """The lines of stderr but for warnings about what is asked."""
    return [line for line in said.splitlines() if not line.startswith("warning: ")]


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)
