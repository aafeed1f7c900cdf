"""What must answer without torch, and quickly: help, listings, and every wrong use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WATCH = """
import resource, sys
from lrbench.__main__ import run
code = run(sys.argv[1:])
spent = resource.getrusage(resource.RUSAGE_SELF)
heavy = sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'torchvision', 'pandas'})
print(f'{code} {heavy} {spent.ru_utime + spent.ru_stime:.2f}', file=sys.stderr)
"""


def watched(*argv: str, cwd: Path) -> tuple[int, str, float, str, str]:
    """(exit code, heavy modules, CPU seconds, stdout, stderr) of a command line."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *argv], capture_output=True, text=True, cwd=cwd, check=True
    )
    *said, last = done.stderr.splitlines()
    code, heavy, spent = (
        last.split(" ", 1)[0],
        last.split(" ", 1)[1].rsplit(" ", 1)[0],
        last.split()[-1],
    )
    return int(code), heavy, float(spent), done.stdout, "\n".join(said)


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["compare", "--help"],
        ["find", "--help"],
        ["--version"],
        ["schedules", "list"],
        ["schedules", "show", "cosine", "warmup(5%) + linear"],
        ["schedules", "code", "rex"],
        ["data", "list"],
        ["compare", "--print-config", "--epochs", "3"],
    ],
    ids=" ".join,
)
def test_these_answer_without_torch(argv: list[str], tmp_path: Path) -> None:
    code, heavy, _, out, err = watched(*argv, cwd=tmp_path)
    assert (code, heavy, err) == (0, "[]", "")
    assert out


WRONG = [
    (["compare", "--epochs", "0"], "--epochs 0"),
    (["compare", "--epochs", "three"], "--epochs"),
    (["compare", "--lr", "-1"], "--lr -1"),
    (["compare", "--lr", "nan"], "--lr nan"),
    (["compare", "--seeds", "0"], "--seeds 0"),
    (["compare", "--batch-size", "99999"], "--batch-size 99999"),
    (["compare", "--epoch", "3"], "--epoch"),
    (["compare", "-s", "cosin"], "did you mean cosine?"),
    (["compare", "-s", "cosine(min=)"], "column 12"),
    (["compare", "-s", "cosine(mn=1)"], "mn"),
    (["compare", "-s", "expr('1 - 2*progress')"], "negative"),
    (["compare", "--model", "lenets"], "did you mean lenet?"),
    (["compare", "--dataset", "mnst"], "did you mean mnist"),
    (["compare", "--optimizer", "adm"], "did you mean adam"),
    (["compare", "--device", "tpu"], "--device tpu"),
    (["compare", "--executor", "moon"], "--executor"),
    (["compare", "--metric", "speed"], "--metric speed"),
    (["compare", "--group", "fc.*"], "--group"),
    (["compare", "--config", "missing.toml"], "--config"),
    (["compare", "--resume", "nowhere"], "--resume"),
    (["find", "--start-lr", "1", "--end-lr", "0.1"], "--start-lr"),
    (["find", "--points", "1"], "--points 1"),
    (["find", "--rule", "steep"], "--rule"),
    (["schedules", "show", "cosine", "--lr", "0"], "--lr"),
    (["schedules", "show", "cosine", "--steps", "0"], "--steps"),
    (["schedules", "list", "--family", "cyclical"], "did you mean cyclic?"),
    (["report", "nowhere"], "nowhere"),
    (["find", "--model", "lenets"], "did you mean lenet?"),
    (["nonsense"], "nonsense"),
]


@pytest.mark.parametrize(
    ("argv", "words"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_wrong_use_is_one_line_and_no_torch(argv: list[str], words: str, tmp_path: Path) -> None:
    code, heavy, _, out, err = watched(*argv, cwd=tmp_path)
    assert code == (3 if "missing.toml" in argv else 2), err
    assert heavy == "[]"
    assert out == ""
    assert words in err
    assert err.startswith("lrbench: error: ") and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "wrong use left something behind"


def test_help_takes_less_than_half_a_second_of_cpu(tmp_path: Path) -> None:
    """The bound is the promise of the README; the fastest of three, as the machine may be busy."""
    assert min(watched("--help", cwd=tmp_path)[2] for _ in range(3)) < 0.5


def test_import_lrbench_is_light() -> None:
    code = "import sys, lrbench; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
