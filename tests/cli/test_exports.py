"""Where an answer goes besides the run's folder, and `lrbench report` over large runs."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from tests.cli.made import refused, told
from tests.cli.test_without_torch import watched


def invented(folder: Path, *argv: str, schedules: int = 4) -> Path:
    """A run of five seeds that is done and was never trained."""
    names = [word for k in range(schedules) for word in ("-s", f"step({k + 1}it)")]
    mock = "compare --dataset synthetic --model mlp --lr 0.05,0.1,0.2 --seeds 5 --executor mock"
    assert run([*mock.split(), *names, *argv, "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return invented(tmp_path_factory.mktemp("runs") / "small")


def test_each_format_goes_to_its_path(small: Path, tmp_path: Path, capsys: Any) -> None:
    places = {kind: tmp_path / f"answer.{kind}" for kind in ("markdown", "csv", "json")}
    options = [word for kind, path in places.items() for word in (f"--export-{kind}", str(path))]
    assert run(["report", str(small), *options]) == 0
    assert "files: " in capsys.readouterr().out
    assert places["csv"].read_bytes() == (small / "ranking.csv").read_bytes()
    assert json.loads(places["json"].read_text())["best"]
    assert places["markdown"].read_text().startswith("**")


@pytest.mark.usefixtures("without_pictures")
def test_a_dash_means_that_stdout_holds_that_and_nothing_else(small: Path, capsys: Any) -> None:
    assert run(["report", str(small), "--export-csv", "-"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 4 and rows[0]["rank"] == "1"
    assert run(["report", str(small), "--export-json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == told(["report", str(small)], capsys)


@pytest.mark.parametrize(
    "options",
    [["--json", "--export-csv", "-"], ["--export-csv", "x", "--export-json", "x"]],
    ids=["stdout twice", "one file twice"],
)
def test_two_documents_in_one_place_are_refused(small: Path, options: Any, capsys: Any) -> None:
    assert "two outputs" in refused(["report", str(small), *options], capsys)


@pytest.mark.parametrize("where", ["no/such/folder/x.md", "."], ids=["no folder", "a folder"])
def test_a_wrong_path_fails_before_anything_is_trained(
    where: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["compare", "--dataset", "synthetic", "--model", "mlp", "--export-markdown", where]
    assert run([*words, "--out", str(tmp_path / "run")]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"cannot write {where}" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("without_pictures")
def test_open_gives_the_page_to_the_browser(small: Path, monkeypatch: Any, capsys: Any) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert run(["report", str(small), "--open"]) == 0
    assert opened == [(small / "report.html").absolute().as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert "no browser" in refused(["report", str(small), "--open"], capsys, 3)


def test_tensorboard_files_are_written_when_asked_for(small: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    assert not (small / "tensorboard").exists()
    assert run(["report", str(small), "--tensorboard"]) == 0
    assert len(list((small / "tensorboard").glob("final-*/events.*"))) == 20


def test_without_tensorboardx_it_is_refused(small: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert "torch-lrbench[tensorboard]" in refused(["report", str(small), "--tensorboard"], capsys)


@pytest.mark.long
def test_200_trials_of_50_epochs_take_10_seconds_and_no_torch(tmp_path: Path) -> None:
    invented(tmp_path / "run", "--epochs", "50", "--tuning-seeds", "1", schedules=25)
    [(code, heavy, spent, out, _)] = watched(["report", str(tmp_path / "run")], cwd=tmp_path)
    assert code == 0 and "torch" not in heavy and spent < 10.0
    assert "report.html" in out and (tmp_path / "run" / "report.html").stat().st_size > 100_000
