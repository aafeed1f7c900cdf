"""`lrbench compare` from end to end, on real digits and on generated ones."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from tests.cli.made import refused, told
from tests.reliability.tools import table

SMALL = (
    "compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "1", "--lr", "0.02,0.05,0.1",
    "-s", "constant", "-s", "cosine", "--seeds", "2", "--threads", "1", "--quiet",
    "--tuning-seeds", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: ten trials."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run([*SMALL, "--out", str(folder), "--record-steps"]) == 0
    return folder


@pytest.fixture
def out(tmp_path: Path, finished: Path, without_pictures: None) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_comparison_writes_what_it_promises(out: Path, capsys: Any) -> None:
    trials = table(out / "trials.csv")
    assert len(trials) == 3 * 2 + 2 * 2
    assert {row["stage"] for row in trials} == {"tune", "final"}
    assert all((row["test_accuracy"] != "") == (row["stage"] == "final") for row in trials)
    assert all(row["status"] == "done" for row in trials)
    epochs = table(out / "epochs.csv")
    assert len(epochs) == len(trials)
    assert all(0 <= float(row["val_accuracy"]) <= 1 for row in epochs)
    assert len(table(out / "ranking.csv")) == 2 and len(table(out / "sensitivity.csv")) == 6
    assert len(table(out / "steps.csv")) == sum(int(row["steps"]) for row in trials)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["schema_version"] == 1 and manifest["threads"] == 1
    assert manifest["command_line"].startswith("lrbench compare")
    assert len(list((out / "plots").glob("*.png"))) >= 4
    assert len(list(out.glob("trials/*/journal.jsonl"))) == len(trials)
    assert not list(out.glob("trials/*/state.pt"))
    document = told(["compare", "--resume", str(out)], capsys)
    assert [row["rank"] for row in document["ranking"]] == [1, 2]
    assert document["sentence"] and 'group["lr"] = 0.1' in document["code"]


def test_the_same_command_trains_nothing_twice_and_a_larger_one_extends(
    out: Path, capsys: Any
) -> None:
    first = table(out / "trials.csv")
    capsys.readouterr()
    assert run([each for each in SMALL if each != "--quiet"] + ["--out", str(out)]) == 0
    assert "0 new trials: all 10 are in" in capsys.readouterr().err
    assert table(out / "trials.csv") == first
    assert run([*SMALL, "--out", str(out), "--seeds", "3", "-s", "linear"]) == 0
    after = {row["trial"]: row for row in table(out / "trials.csv")}
    # linear: three LRs and three seeds; the others: one seed more
    assert len(after) == len(first) + 3 + 3 + 2
    unchanged = ("lr", "seed", "train_loss", "val_loss", "test_accuracy", "train_s")
    for row in first:
        assert [after[row["trial"]][key] for key in unchanged] == [row[key] for key in unchanged]
    line = json.loads((out / "manifest.json").read_text())["command_line"]
    assert "--schedule linear" in line and "--schedule cosine" in line


def test_a_changed_experiment_is_refused_and_nothing_is_touched(out: Path, capsys: Any) -> None:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    argv = [*SMALL, "--out", str(out), "--batch-size", "64"]
    assert "--batch-size 128 -> 64" in refused(argv, capsys)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_dry_run_of_a_begun_run_says_what_is_left(out: Path, capsys: Any) -> None:
    def plan(*more: str) -> tuple[dict[str, int], float | None]:
        """The trials that are left of each stage, and the estimated seconds."""
        found = told(["compare", "--resume", str(out), "--dry-run", *more], capsys)
        left = {stage: each["trials"] for stage, each in found["left"].items()}
        return left, found["estimated_s"]

    assert plan() == ({"find": 0, "tune": 0, "final": 0}, 0)
    left, seconds = plan("--seeds", "9")
    assert (left["tune"], left["final"]) == (0, 2 * 9 - 4) and seconds
    assert run(["compare", "--resume", str(out), "--dry-run", "--seeds", "9"]) == 0
    assert re.search(r"^left +14 ", capsys.readouterr().out, re.MULTILINE)
    shutil.rmtree(out / "trials")
    assert plan() == ({"find": 0, "tune": 6, "final": 4}, None)


def test_the_default_plan_is_small_enough_and_a_dry_run_writes_nothing(
    tmp_path: Path, capsys: Any
) -> None:
    """Small enough for three minutes on two cores."""
    document = told(["compare", "--dry-run", "--out", str(tmp_path / "run")], capsys)
    assert document["total"]["images"] <= 1_500_000
    assert document["stages"]["find"]["images"] <= 32_000
    assert document["experiment"]["seeds"] == 20 and document["estimated_s"] > 0
    assert not (tmp_path / "run").exists()


def test_a_time_budget_sizes_the_plan(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine whose steps always take as long: a busy one may say otherwise each time."""
    monkeypatch.setattr("lrbench.execute.Workbench.step_s", lambda bench: 0.003)
    argv = ["compare", "--dataset", "synthetic", "--model", "mlp", "--dry-run", "--lr", "0.1"]
    documents = [
        told([*argv, "--out", str(tmp_path / budget), "--time-budget", budget], capsys)
        for budget in ("1m", "10m")
    ]
    small, large = (document["experiment"]["epochs"] for document in documents)
    assert large > small >= 1
    assert 300 < documents[1]["estimated_s"] <= 600


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--group", "nope lr=2x"], "--group 'nope' matches no parameter"),
        (["--budgets", "50%", "--epochs", "2", "-s", "StepLR(step_size=1)"], "--budgets: StepLR"),
    ],
)
def test_what_only_the_plan_can_refuse_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: Any, options: list[str], words: str
) -> None:
    assert words in refused([*SMALL, *options, "--out", str(tmp_path / "run")], capsys)
    assert not (tmp_path / "run").exists()


def test_a_damaged_tuning_journal_costs_no_final_row(out: Path, capsys: Any) -> None:
    before = table(out / "trials.csv")
    tuned = next(row["trial"] for row in before if row["stage"] == "tune")
    journal = out / "trials" / tuned / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-30])
    capsys.readouterr()
    assert run(["report", str(out)]) == 0
    assert "4 final trials exist, but tuning is incomplete" in capsys.readouterr().err
    finals = [row for row in table(out / "trials.csv") if row["stage"] == "final"]
    assert len(finals) == 4
    assert run([*SMALL, "--out", str(out)]) == 0
    assert len(table(out / "trials.csv")) == len(before)


def test_trials_without_a_manifest_are_refused(out: Path, capsys: Any) -> None:
    (out / "manifest.json").unlink()
    assert "no manifest.json" in refused([*SMALL, "--out", str(out)], capsys, 3)


def test_budgets_and_batch_sizes_have_rankings_of_their_own(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "run"
    words = "--epochs 2 --budgets 50%,100% --batch-size 64,128 -s step(1ep) --lr 0.05"
    assert run([*SMALL, *words.split(), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "step(1ep) is trained as step(0.5ep)" in said.err
    assert "every schedule is trained at LR 0.05" in said.err
    ranking = table(out / "ranking.csv")
    cells = [(row["batch_size"], row["budget"]) for row in ranking]
    assert list(dict.fromkeys(cells)) == [("64", "2"), ("64", "1"), ("128", "2"), ("128", "1")]
    assert len(ranking) == 4 * 3
    trials = table(out / "trials.csv")
    assert {(t["batch_size"], t["budget"], t["steps"]) for t in trials} == {
        ("64", "2", "56"), ("64", "1", "28"), ("128", "2", "28"), ("128", "1", "14"),
    }  # fmt: skip
    assert {"budgets.png", "batch_sizes.png"} <= {p.name for p in (out / "plots").iterdir()}
    short = [row for row in table(out / "epochs.csv") if row["budget"] == "1"]
    ends = [float(row["lr_last"]) for row in short if row["schedule"] == "step(1ep)"]
    assert ends == pytest.approx([0.005] * len(ends)) and ends
    assert json.loads((out / "manifest.json").read_text())["steps_per_epoch"] == {
        "64": 28,
        "128": 14,
    }
    assert len(told(["report", str(out)], capsys)["ranking"]) == 12


@pytest.mark.usefixtures("without_pictures")
def test_the_lrs_of_one_schedule_are_ranked_where_that_is_asked_for(
    tmp_path: Path, capsys: Any
) -> None:
    tiny = [*SMALL[:7], "--seeds", "2", "--threads", "1", "-s", "constant"]
    argv = [*tiny, "--lr", "0.02,0.1", "--rank-lrs", "--out", str(tmp_path)]
    assert run(argv) == 0
    ranking = table(tmp_path / "ranking.csv")
    assert {row["schedule"]: row["lr"] for row in ranking} == {
        "constant @ 0.02": "0.02", "constant @ 0.1": "0.1",
    }  # fmt: skip
    assert {row["stage"] for row in table(tmp_path / "trials.csv")} == {"final"}
    assert "every schedule is trained at" not in capsys.readouterr().err
    assert run(argv) == 0  # the run goes on
    argv = [*tiny, "--rank-lrs", "--out", str(tmp_path / "b")]
    assert "--rank-lrs needs the LRs to rank" in refused(argv, capsys)
