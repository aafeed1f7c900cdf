"""Another package's schedules, data, models, optimizers, executors and renderers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.test_without_torch import Seen, watched

PACKAGE = Path(__file__).parent / "assets" / "plugin-package"
ALL = (
    "compare --dataset stripes --model softmax --optimizer adamax --opt eps=1e-6 -s halving -s "
    "cosine --executor backwards --lr 0.01 --epochs 2 --seeds 2 --batch-size 50 --threads 1"
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


def answers(site: Path, cwd: Path, *commands: list[str]) -> list[Seen]:
    return watched(*commands, cwd=cwd, path=f"{site}{os.pathsep}{Path(__file__).parents[1]}")


def test_they_are_listed_and_suggested(site: Path, tmp_path: Path) -> None:
    show = ["schedules", "show", "halving(by=4)", "--csv", "-", "--lr", "1", "--steps", "3"]
    schedules, data, helped, shown, wrong, named = answers(
        site, tmp_path, ["schedules", "list", "--json"], ["data", "list"], ["compare", "--help"],
        [*show, "--steps-per-epoch", "1"], ["compare", "--executor", "backward"],
        ["schedules", "show", "lrbench_extras.schedules:halving"],
    )  # fmt: skip
    assert "is the registered schedule halving, which takes other" in named[4]
    assert "did you mean backwards" in wrong[4]
    assert "halving" in {entry["name"] for entry in json.loads(schedules[3])}
    assert "stripes" in data[3] and helped[4] == ""
    assert {"stripes", "softmax", "adamax"} <= set(helped[3].replace(",", " ").split())
    rates = [line.rpartition(",")[2] for line in shown[3].split()]
    assert rates == ["lr", "1.0", "0.25", "0.0625"]


@pytest.mark.long
def test_a_comparison_of_nothing_else(site: Path, tmp_path: Path) -> None:
    [(code, _, _, out, err)] = answers(site, tmp_path, [*ALL.split(), "--out", "run", "--json"])
    assert code == 0, err
    answer = json.loads(out)
    assert {row["schedule"] for row in answer["ranking"]} == {"halving", "cosine"}
    assert min(row["metric_mean"] for row in answer["ranking"]) > 0.9
    assert (tmp_path / "run" / "sentence.txt").read_text().strip() == answer["sentence"]
    epochs = pd.read_csv(tmp_path / "run" / "epochs.csv")
    rates = epochs[epochs["schedule"] == "halving"].groupby("epoch")["lr_first"].unique()
    assert [list(lrs) for lrs in rates] == [[0.01], [0.005]]
