"""`lrbench find` from end to end."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run

SMALL = (
    "find", "--dataset", "synthetic", "--model", "mlp", "--points", "50", "--seeds", "2",
    "--threads", "1", "--no-verify", "--quiet",
)  # fmt: skip


def test_it_writes_what_it_promises(tmp_path: Path, capsys: Any) -> None:
    assert run([*SMALL, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "learning rate" in said.out and "next: lrbench compare" in said.out
    with open(tmp_path / "find.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["seed", "step", "lr", "loss", "smoothed"]
    assert {row["seed"] for row in rows} == {"0", "1"}
    answer = json.loads((tmp_path / "find.json").read_text())
    wanted = {
        "lr", "lr_sweep", "grade", "reasons", "band", "lr_range", "max_stable_lr", "rules",
        "verification", "table", "settings",
    }  # fmt: skip
    assert wanted <= set(answer)
    assert answer["lr_range"][0] < answer["lr_range"][1]
    assert (tmp_path / "plots" / "find.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "manifest.json").read_text())["command"] == "find"


def test_json_is_the_answer_and_nothing_else(tmp_path: Path, capsys: Any) -> None:
    assert run([*SMALL, "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "find.json").read_text())


def test_two_folders_get_the_same_bits(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run([*SMALL, "--out", str(tmp_path / name)]) == 0
    for file in ("find.csv", "find.json", "plots/find.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_an_answer_that_is_there_is_not_sought_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run([*SMALL, "--out", str(tmp_path)]) == 0
    before = (tmp_path / "find.json").read_bytes()
    from lrbench.execute import Workbench

    monkeypatch.setattr(Workbench, "find", lambda *_: pytest.fail("trained again"))
    assert run([*SMALL, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "find.json").read_bytes() == before


def test_no_learning_rate_is_exit_1_with_a_remedy(tmp_path: Path, capsys: Any) -> None:
    argv = [*SMALL, "--start-lr", "1e-9", "--end-lr", "1e-8", "--out", str(tmp_path)]
    assert run(argv) == 1
    said = capsys.readouterr().err
    assert said.count("lrbench: error:") == 1 and "--" in said
    answer = json.loads((tmp_path / "find.json").read_text())
    assert answer["lr"] is None and answer["grade"] == "none" and answer["reasons"]


def test_a_folder_of_another_experiment_is_refused(tmp_path: Path, capsys: Any) -> None:
    assert run([*SMALL, "--out", str(tmp_path)]) == 0
    before = (tmp_path / "find.json").read_bytes()
    capsys.readouterr()
    assert run([*SMALL, "--points", "60", "--out", str(tmp_path)]) == 2
    assert "--points 50 -> 60" in capsys.readouterr().err
    assert (tmp_path / "find.json").read_bytes() == before


def test_report_makes_the_files_again_without_torch(tmp_path: Path) -> None:
    assert run([*SMALL, "--out", str(tmp_path)]) == 0
    before = (tmp_path / "find.csv").read_bytes()
    (tmp_path / "find.csv").unlink()
    code = (
        "import sys; from lrbench.__main__ import run\n"
        f"code = run(['report', {str(tmp_path)!r}])\n"
        "sys.exit(code or 10 * ('torch' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "find.csv").read_bytes() == before


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "adagrad"])
def test_every_optimizer(tmp_path: Path, optimizer: str, capsys: Any) -> None:
    code = run([*SMALL, "--optimizer", optimizer, "--out", str(tmp_path), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert code == (0 if answer["lr"] else 1)
    assert answer["lr"] is None or 1e-5 < answer["lr"] < 10


def answer_of(argv: list[str], capsys: Any) -> dict[str, Any]:
    code = run([*argv, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == (0 if found["lr"] else 1)
    return found


def test_a_table_of_batch_sizes_and_momenta(tmp_path: Path, capsys: Any) -> None:
    argv = [*SMALL, "--batch-sizes", "128,32", "--momenta", "0,0.9", "--out", str(tmp_path)]
    found = answer_of([*argv, "--no-max-stable"], capsys)
    assert [(row["batch_size"], row["momentum"]) for row in found["table"]] == [
        (32, 0.0), (128, 0.0), (32, 0.9), (128, 0.9),
    ]  # fmt: skip
    assert found["table"][3]["lr"] == found["lr"]
    assert {"grade", "max_stable_lr", "lr_sqrt_rule", "lr_linear_rule"} <= set(found["table"][0])
    assert (tmp_path / "plots" / "find-table.png").read_bytes().startswith(b"\x89PNG")
    assert run(["report", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "sqrt rule" in said and "linear rule" in said


def test_the_curve_may_be_that_of_validation_data(tmp_path: Path, capsys: Any) -> None:
    plain = answer_of([*SMALL, "--out", str(tmp_path / "a")], capsys)
    found = answer_of([*SMALL, "--val-loss", "--out", str(tmp_path / "b")], capsys)
    assert found["settings"]["val_loss"] is True
    assert found["curve"]["loss"] != plain["curve"]["loss"]
    assert abs(found["curve"]["loss"][0] - plain["curve"]["loss"][0]) < 0.3


def test_a_point_may_be_an_epoch_and_the_window_another(tmp_path: Path, capsys: Any) -> None:
    argv = [*SMALL, "--step", "epoch", "--batch-size", "256", "--window", "2"]
    found = answer_of([*argv, "--points", "12", "--out", str(tmp_path)], capsys)
    assert found["settings"]["step"] == "epoch" and found["settings"]["window"] == 2.0


def test_one_group_is_swept_while_the_other_stays(tmp_path: Path, capsys: Any) -> None:
    argv = [*SMALL, "--group", "*bias lr=2x", "--group", "* lr=0.01", "--sweep-group", "*bias"]
    assert run([*argv, "--out", str(tmp_path), "--no-max-stable"]) in (0, 1)
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "find.json").read_text())
    assert found["settings"]["sweep_group"] == "*bias"
    if found["lr"]:
        line = " ".join(said.split())
        assert f"--group '*bias lr={found['lr']:.2g}' --group '* lr=0.01'" in line


def test_bf16(tmp_path: Path, capsys: Any) -> None:
    found = answer_of([*SMALL, "--precision", "bf16", "--out", str(tmp_path)], capsys)
    assert found["grade"] in ("ok", "weak")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--step", "minute"], "--step minute: must be 'batch' or 'epoch'"),
        (["--window", "0"], "--window 0.0"),
        (["--batch-sizes", "32,x"], "--batch-sizes 32,x: give numbers"),
        (["--batch-sizes", "0"], "--batch-sizes 0"),
        (["--batch-sizes", "32.5"], "--batch-sizes 32.5"),
        (["--batch-sizes", "32,999999"], "--batch-size 999999 is more than"),
        (["--momenta", "0,1"], "--momenta 1"),
        (["--momenta", "0,0.9", "--optimizer", "adam"], "--momenta: adam takes no --momentum"),
        (["--momenta", "0,0.9", "--nesterov"], "--nesterov needs a --momentum above 0"),
        (["--sweep-group", "head"], "--sweep-group head: there is no such group"),
        (["--group", "*bias lr=2x", "--sweep-group", "0"], "'*' has no learning rate to stay at"),
        (
            ["--group", "*bias lr=2x", "--group", "*weight lr=3x", "--sweep-group", "0"],
            "'*weight' has no learning rate to stay at",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    options: list[str], words: str, tmp_path: Path, capsys: Any
) -> None:
    assert run([*SMALL, *options, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists()
