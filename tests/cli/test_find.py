"""`lrbench find` from end to end."""

import csv
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from tests.cli.made import refused, told
from tests.cli.test_without_torch import watched

SMALL = (
    "find", "--dataset", "synthetic", "--model", "mlp", "--points", "50", "--seeds", "2",
    "--threads", "1", "--no-verify", "--quiet",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run([*SMALL, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def out(tmp_path: Path, finished: Path) -> Path:
    """A copy of a finished range test."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_it_writes_what_it_promises(out: Path, capsys: Any) -> None:
    with open(out / "find.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["seed", "step", "lr", "loss", "smoothed"]
    assert {row["seed"] for row in rows} == {"0", "1"}
    answer = json.loads((out / "find.json").read_text())
    wanted = (
        "lr lr_sweep grade reasons band lr_range max_stable_lr rules verification table settings"
    )
    assert set(wanted.split()) <= set(answer)
    assert answer["lr_range"][0] < answer["lr_range"][1]
    assert (out / "plots" / "find.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "manifest.json").read_text())["command"] == "find"
    capsys.readouterr()
    assert run(["report", str(out)]) == 0
    said = capsys.readouterr().out
    assert "learning rate" in said and "next: lrbench compare" in said


def test_json_is_the_answer_and_two_folders_get_the_same_bits(
    tmp_path: Path, finished: Path, capsys: Any
) -> None:
    found = told([*SMALL, "--out", str(tmp_path)], capsys)
    assert found == json.loads((tmp_path / "find.json").read_text())
    for file in ("find.csv", "find.json", "plots/find.png"):
        assert (tmp_path / file).read_bytes() == (finished / file).read_bytes()


def test_an_answer_that_is_there_is_not_sought_again(
    out: Path, monkeypatch: pytest.MonkeyPatch, opens: list[str]
) -> None:
    before = (out / "find.json").read_bytes()
    from lrbench.execute import Workbench

    monkeypatch.setattr(Workbench, "find", lambda *_: pytest.fail("trained again"))
    opens.clear()
    assert run([*SMALL, "--out", str(out)]) == 0
    assert (out / "find.json").read_bytes() == before
    assert len(opens) == 2 and len(set(opens)) == 2  # the manifest and the answer


@pytest.mark.parametrize("option", ["--fail-below=0.9", "--only=cosine"])
def test_what_is_asked_of_a_comparison_is_not_ignored(option: str, out: Path, capsys: Any) -> None:
    assert "are for a comparison" in refused(["report", str(out), option], capsys)


def test_no_learning_rate_is_exit_1_with_a_remedy(tmp_path: Path, capsys: Any) -> None:
    argv = [*SMALL, "--start-lr", "1e-9", "--end-lr", "1e-8", "--out", str(tmp_path)]
    assert run(argv) == 1
    said = capsys.readouterr().err
    assert said.count("lrbench: error:") == 1 and "--" in said
    answer = json.loads((tmp_path / "find.json").read_text())
    assert answer["lr"] is None and answer["grade"] == "none" and answer["reasons"]


def test_a_folder_of_another_experiment_is_refused(out: Path, capsys: Any) -> None:
    before = (out / "find.json").read_bytes()
    assert "--points 50 -> 60" in refused([*SMALL, "--points", "60", "--out", str(out)], capsys)
    assert (out / "find.json").read_bytes() == before


def test_report_makes_the_files_again_without_torch(out: Path) -> None:
    before = (out / "find.csv").read_bytes()
    (out / "find.csv").unlink()
    [(code, heavy, *_)] = watched(["report", str(out)], cwd=out)
    assert code == 0 and "torch" not in heavy
    assert (out / "find.csv").read_bytes() == before


def test_a_table_of_batch_sizes_and_momenta(tmp_path: Path, capsys: Any) -> None:
    argv = [*SMALL, "--batch-sizes", "128,32", "--momenta", "0,0.9", "--out", str(tmp_path)]
    found = told([*argv, "--no-max-stable"], capsys)
    assert [(row["batch_size"], row["momentum"]) for row in found["table"]] == [
        (32, 0.0), (128, 0.0), (32, 0.9), (128, 0.9),
    ]  # fmt: skip
    assert found["table"][3]["lr"] == found["lr"]
    assert {"grade", "max_stable_lr", "lr_sqrt_rule", "lr_linear_rule"} <= set(found["table"][0])
    assert (tmp_path / "plots" / "find-table.png").read_bytes().startswith(b"\x89PNG")
    assert run(["report", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "sqrt rule" in said and "linear rule" in said


def test_a_point_may_be_an_epoch_of_validation_loss_and_the_window_another(
    tmp_path: Path, finished: Path, capsys: Any
) -> None:
    argv = [*SMALL, "--step", "epoch", "--batch-size", "256", "--window", "2", "--val-loss"]
    found = told([*argv, "--points", "12", "--out", str(tmp_path)], capsys)
    wanted = {"step": "epoch", "window": 2.0, "val_loss": True}
    assert wanted.items() <= found["settings"].items()
    plain = json.loads((finished / "find.json").read_text())["curve"]["loss"][0]
    assert 0 < abs(found["curve"]["loss"][0] - plain) < 0.3


def test_a_dry_run_counts_the_short_trainings_too(tmp_path: Path, capsys: Any) -> None:
    argv = ["find", "--dataset", "synthetic", "--model", "mlp", "--dry-run"]
    whole, sweep = told(argv, capsys), told([*argv, "--no-verify", "--no-max-stable"], capsys)
    assert (whole["sweep_steps"], sweep["later_steps"]) == (sweep["sweep_steps"], 0)
    assert whole["later_steps"] > whole["sweep_steps"]


def test_one_group_is_swept_while_the_other_stays(tmp_path: Path, capsys: Any) -> None:
    argv = [*SMALL, "--group", "*bias lr=2x", "--group", "* lr=0.01", "--sweep-group", "*bias"]
    assert run([*argv, "--out", str(tmp_path), "--no-max-stable"]) in (0, 1)
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "find.json").read_text())
    assert found["settings"]["sweep_group"] == "*bias"
    if found["lr"]:
        line = " ".join(said.split())
        assert f"--group '*bias lr={found['lr']:.2g}' --group '* lr=0.01'" in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seeds", "1.5"], "--seeds 1.5: must be a whole number"),
        (["--window", "0"], "--window 0.0"),
        (["--batch-sizes", "32,x"], "--batch-sizes 32,x: give numbers"),
        (["--batch-sizes", "32,999999"], "--batch-size 999999 is more than"),
        (["--momenta", "0,1"], "--momenta 1"),
        (["--momenta", "0,0.9", "--optimizer", "adam"], "--momenta: adam takes no --momentum"),
        (["--momenta", "0,0.9", "--nesterov"], "--nesterov needs a --momentum above 0"),
        (["--group", "*bias lr=2x", "--sweep-group", "0"], "'*' has no learning rate to stay at"),
        (["-s", "linear", "--group", "*.bias schedule=cosine"], "leave out its schedule="),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    options: list[str], words: str, tmp_path: Path, capsys: Any
) -> None:
    assert run([*SMALL, *options, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_answer_for_a_run_names_it_everywhere(tmp_path: Path, capsys: Any) -> None:
    words = [word for word in SMALL if word not in ("--quiet", "--no-verify")]
    assert run([*words, "-s", "linear", "--out", str(tmp_path)]) == 0
    said, warned = (" ".join(text.split()) for text in capsys.readouterr())
    aim = json.loads((tmp_path / "find.json").read_text())["aim"]
    assert (aim["schedule"], aim["epochs"]) == ("linear", 3) and "3 epochs" in warned
    assert f"linear, 3 epochs, {aim['steps']:,} steps" in said and aim["because"] in said
    assert "-s linear --epochs 3" in said
    page = (tmp_path / "report.html").read_text()
    assert "under linear" in page and aim["because"] in page


def test_who_follows_the_advice_trains_at_the_lr_that_was_found(
    tmp_path: Path, capsys: Any
) -> None:
    words = [word for word in SMALL if word not in ("--quiet", "--no-verify")]
    argv = [*words, "-s", "noam", "--epochs", "1", "--no-max-stable"]
    assert run([*argv, "--out", str(tmp_path / "a")]) == 0
    (advice,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next:"))
    few = ["--seeds", "2", "--tuning-seeds", "1", "--executor", "serial"]
    assert run([*shlex.split(advice)[2:], *few, "--out", str(tmp_path / "b"), "--quiet"]) == 0
    found = json.loads((tmp_path / "a" / "find.json").read_text())["lr"]
    rows = csv.DictReader((tmp_path / "b" / "trials.csv").read_text().splitlines())
    assert any(float(row["lr"]) == pytest.approx(found, rel=0.03) for row in rows)
