"""Another package's schedules, data, models, optimizers, executors and renderers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

PACKAGE = Path(__file__).parent / "assets" / "plugin-package"
RUN = "import sys; from lrbench.__main__ import run; sys.exit(run(sys.argv[1:]))"
ALL = (
    "compare --dataset stripes --model softmax --optimizer adamax --opt eps=1e-6 -s halving -s "
    "cosine --executor backwards --lr 0.01 --epochs 2 --seeds 2 --batch-size 50 --device cpu"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "package"  # building writes beside the sources
    for path in PACKAGE.rglob("*"):
        if path.suffix in (".py", ".toml"):
            copy = source / path.relative_to(PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--disable-pip-version-check", "--target", str(folder), str(source)],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    return folder


def lrbench(site: Path, cwd: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    here = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{here}", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", RUN, *argv],
        capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=300,
    )  # fmt: skip


def test_they_are_listed(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("lrbench.report.renderers")
    listed = json.loads(lrbench(site, tmp_path, "schedules", "list", "--json").stdout)
    assert "halving" in {entry["name"] for entry in listed}
    assert "stripes" in lrbench(site, tmp_path, "data", "list").stdout
    said = lrbench(site, tmp_path, "compare", "--help")
    assert said.stderr == ""
    words = said.stdout.replace(",", " ").split()
    assert {"stripes", "softmax", "adamax"} <= set(words)
    shown = lrbench(
        site, tmp_path, "schedules", "show", "halving(by=4)", "--csv", "-", "--lr", "1",
        "--steps", "3", "--steps-per-epoch", "1",
    )  # fmt: skip
    assert [line.rpartition(",")[2] for line in shown.stdout.split()] == [
        "lr", "1.0", "0.25", "0.0625",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--model", "softmx"], "did you mean softmax"),
        (["--dataset", "stripe"], "did you mean stripes"),
        (["-s", "halvin"], "did you mean halving"),
        (["--executor", "backward"], "did you mean backwards"),
    ],
)
def test_they_are_suggested(site: Path, tmp_path: Path, option: list[str], words: str) -> None:
    done = lrbench(site, tmp_path, "compare", *option)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


@pytest.mark.long
def test_a_comparison_of_nothing_else(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("lrbench.report.renderers")
    done = lrbench(site, tmp_path, *ALL.split(), "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {row["schedule"] for row in answer["ranking"]} == {"halving", "cosine"}
    assert min(row["metric_mean"] for row in answer["ranking"]) > 0.9
    assert (tmp_path / "run" / "sentence.txt").read_text().strip() == answer["sentence"]
    epochs = pd.read_csv(tmp_path / "run" / "epochs.csv")
    rates = epochs[epochs["schedule"] == "halving"].groupby("epoch")["lr_first"].unique()
    assert [list(lrs) for lrs in rates] == [[0.01], [0.005]]


def test_a_package_that_is_broken_is_named_and_left_out(site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "site"
    broken.mkdir()
    (broken / "broken_extras.py").write_text("raise RuntimeError('not today')\n")
    info = broken / "broken_extras-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-extras\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrbench.models]\nx = broken_extras\n")
    done = lrbench(broken, tmp_path, "compare", "--help")
    assert done.returncode == 0
    assert "lenet" in done.stdout
    assert "broken_extras" in done.stderr
    assert "not today" in done.stderr
