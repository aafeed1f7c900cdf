"""What must answer without torch, and quickly: help, listings, and every wrong use."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WATCH = """
import contextlib, io, json, resource, sys
from lrbench.__main__ import run
for argv in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(argv)
    spent = resource.getrusage(resource.RUSAGE_SELF)
    loaded = {name.split('.')[0] for name in sys.modules}
    heavy = sorted(loaded & {'torch', 'torchvision', 'pandas', 'PIL', 'mlxtend'})
    cpu_s = spent.ru_utime + spent.ru_stime
    print(json.dumps([code, heavy, cpu_s, out.getvalue(), err.getvalue()]), flush=True)
"""
Seen = tuple[int, list[str], float, str, str]


def watched(*commands: Sequence[str], cwd: Path, path: str = "") -> list[Seen]:
    """(exit code, heavy modules loaded so far, CPU seconds so far, stdout, stderr) of each command,
    all in one new process; `path` is its PYTHONPATH."""
    environment = {**os.environ, "COLUMNS": "200", **({"PYTHONPATH": path} if path else {})}
    done = subprocess.run(
        [sys.executable, "-c", WATCH, json.dumps(commands)], capture_output=True, text=True,
        cwd=cwd, check=True, env=environment,
    )  # fmt: skip
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


LIGHT = [
    ["--help"],
    ["compare", "--help"],
    ["find", "--help"],
    ["--version"],
    ["schedules", "list"],
    ["schedules", "show", "cosine", "warmup(5%) + linear"],
    ["schedules", "code", "rex"],
    ["data", "list"],
    ["compare", "--print-config", "--epochs", "3"],
]


def test_these_answer_without_torch(tmp_path: Path) -> None:
    answers = watched(*LIGHT, cwd=tmp_path)
    for argv, (code, heavy, _, out, err) in zip(LIGHT, answers, strict=True):
        assert (code, heavy, err) == (0, [], "") and out, argv


WRONG = [
    (["compare", "--epochs", "0"], "--epochs 0"),
    (["compare", "--epochs", "three"], "--epochs"),
    (["compare", "--epoch", "3"], "--epoch"),
    (["compare", "--seeds", "1,2,3"], "--seeds 1,2,3: must be a whole number"),
    (["compare", "-s", "cosine(min=)"], "column 12"),
    (["compare", "-s", "expr('1 - 2*progress')"], "negative"),
    (["compare", "--dataset", "mnst"], "did you mean mnist"),
    (["compare", "--optimizer", "adm"], "did you mean adam"),
    (["compare", "--device", "tpu"], "--device tpu"),
    (["compare", "--executor", "moon"], "--executor"),
    (["compare", "--group", "fc.*"], "--group"),
    (["compare", "--config", "missing.toml"], "--config"),
    (["compare", "--resume", "nowhere"], "--resume"),
    (["find", "--rule", "steep"], "--rule"),
    (["find", "--model", "lenets"], "did you mean lenet?"),
    (["find", "--dataset", "mnist", "--batch-size", "60001"], "--batch-size 60001"),
    (["schedules", "show", "cosine", "--lr", "0"], "base learning rate"),
    (["schedules", "show", "cosine", "--steps", "0"], "--steps"),
    (["schedules", "code", "expr('1-epoch')"], "negative"),
    (["schedules", "code", "warmup({1,2}%) + cosine"], "braces stand for several schedules"),
    (["schedules", "list", "--family", "cyclical"], "did you mean cyclic?"),
    (["report", "nowhere"], "nowhere"),
    (["nonsense"], "nonsense"),
]


def test_wrong_use_is_one_line_and_no_torch(tmp_path: Path) -> None:
    answers = watched(*(argv for argv, _ in WRONG), cwd=tmp_path)
    for (argv, words), (code, heavy, _, out, err) in zip(WRONG, answers, strict=True):
        assert code == (3 if "missing.toml" in argv else 2), (argv, err)
        assert heavy == [] and out == "" and words in err, (argv, err)
        assert err.startswith("lrbench: error: ") and len(err.splitlines()) == 1, (argv, err)
    assert not list(tmp_path.iterdir()), "wrong use left something behind"


def test_help_takes_less_than_half_a_second_of_cpu(tmp_path: Path) -> None:
    """The bound is the promise of the README; the fastest of three, as the machine may be busy."""
    assert min(watched(["--help"], cwd=tmp_path)[0][2] for _ in range(3)) < 0.5
