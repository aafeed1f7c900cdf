"""`lrbench report`: several runs, and conditions that make a script fail."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.cli.gate import Conditions
from lrbench.cli.versus import data_notices, differing
from lrbench.errors import UsageError
from lrbench.inputs import compare_spec
from lrbench.options import FindSpec
from lrbench.run.store import Run
from tests.analysis.made import compared
from tests.cli.made import refused, told
from tests.report.find_results import found
from tests.run.made import manifest, write_lines

pytestmark = pytest.mark.usefixtures("without_pictures")
SMALL = (
    "compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "1", "--lr", "0.05",
    "-s", "constant", "-s", "multistep([1%], gamma=0.001)", "--seeds", "5", "--threads", "1",
    "--quiet",
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    paths = (str(folder / "[/red]\x1b[31m\nb c"), str(folder / "b"))
    assert run([*SMALL, "--out", paths[0]]) == 0
    assert run([*SMALL, "--momentum", "0.5", "--seeds", "2", "--out", paths[1]]) == 0
    return paths


def test_two_runs_side_by_side(runs: tuple[str, str], capsys: Any) -> None:
    capsys.readouterr()
    assert run(["report", *runs]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "[/red]" in said.out
    assert "--momentum 0.9 -> 0.5" in said.out and "--seeds 5 -> 2" in said.out
    assert "B - A" in said.out
    both = told(["report", *runs], capsys)
    assert [each["run"] for each in both["runs"]] == list(runs)
    schedules = both["versus"][0]["schedules"]
    assert [(row["n"], row["lost_b"]) for row in schedules] == [(2, 0), (0, 2)]  # at chance


BELOW, WORSE = "--fail-below", "--fail-if-worse-than"
WORST = "multistep([1%], gamma=0.001)"


@pytest.mark.parametrize(
    ("condition", "code", "words"),
    [
        ([BELOW, "0.999"], 4, [f"{BELOW} 99.9 %: the best schedule, constant, reached"]),
        ([BELOW, "0.2"], 0, [f"{BELOW} 20 %: passed, the best schedule, constant, reached"]),
        ([BELOW, "20%"], 0, [f"{BELOW} 20 %: passed"]),
        ([BELOW, "98"], 2, [f"{BELOW} 98: an accuracy is a share"]),
        ([BELOW, "97 percent"], 2, [f"{BELOW} 97 percent: an accuracy is a share"]),
        ([WORSE, "constant"], 4, [f"{WORST} did worse"]),
        ([WORSE, WORST], 0, []),
        ([WORSE, "cosine"], 2, [f"{WORSE} cosine: not in this run"]),
        ([BELOW, "0.99", WORSE, "constant"], 4, [f"{BELOW} 99 %", f"{WORSE} constant: {WORST}"]),
    ],
)
def test_conditions_have_an_exit_code(
    runs: tuple[str, str], capsys: Any, condition: list[str], code: int, words: list[str]
) -> None:
    assert run(["report", runs[0], *condition]) == code
    said = capsys.readouterr()
    assert all(each in said.err for each in words)
    assert bool(said.out) == (code != 2)  # a wrong use is said at once


def test_a_loss_is_no_accuracy_to_fall_below() -> None:
    with pytest.raises(UsageError, match="needs an accuracy, but this run is ranked by test_loss"):
        Conditions(below=0.5).enforce(compared({"a": [0.9]}, accuracy=False), quiet=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([WORSE, "linear"], f"{WORSE} linear: not in this run"),
        ([BELOW, "0.5", "--metric", "test_loss"], "but --metric is test_loss"),
    ],
)
def test_compare_refuses_a_condition_that_cannot_be_judged_before_training(
    tmp_path: Path, capsys: Any, options: list[str], words: str
) -> None:
    assert words in refused([*SMALL, *options, "--out", str(tmp_path / "run")], capsys)
    assert not (tmp_path / "run").exists()


def test_compare_judges_after_its_ranking_is_written(tmp_path: Path) -> None:
    assert run([*SMALL, "--out", str(tmp_path), "--seeds", "1", BELOW, "0.9999"]) == 4
    assert (tmp_path / "ranking.csv").exists()


def test_tables_without_their_journals_stay(runs: Any, tmp_path: Path, capsys: Any) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy, ignore=shutil.ignore_patterns("trials"))
    before = (copy / "ranking.csv").read_bytes()
    assert "its journals (trials/) are missing" in refused(["report", str(copy)], capsys)
    assert (copy / "ranking.csv").read_bytes() == before


def test_conditions_and_exports_are_of_one_run(runs: tuple[str, str], capsys: Any) -> None:
    for option in (["--fail-below", "0.5"], ["--export-csv", "-"]):
        assert "take a single run" in refused(["report", *runs, *option], capsys)


def test_a_run_in_use_is_told_and_left_alone(runs: tuple[str, str], capsys: Any) -> None:
    """As a folder that is read-only: its answer, and one line that its files stay as they were."""
    page = Path(runs[0]) / "report.html"
    before = page.stat().st_mtime_ns
    capsys.readouterr()
    with Run(Path(runs[0])).writer():
        assert run(["report", runs[0], "--json"]) == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["run"] == runs[0] and "in use by process" in said.err
    assert page.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "craft",
    [
        lambda answer: answer["curve"]["loss"].pop(),
        lambda answer: answer["verification"].update(losses="none"),
        lambda answer: answer["curve"]["loss"].insert(0, json.loads("1e400")),
    ],
    ids=["too short", "in words", "beyond numbers"],
)
def test_a_range_test_with_right_checksums_that_is_none_is_one_line(
    tmp_path: Path, capsys: Any, craft: Any
) -> None:
    answer, spec, folder = found().to_dict(), FindSpec(), Run(tmp_path)
    craft(answer)
    folder.write_manifest(
        manifest(command="find", experiment=spec.model_dump(mode="json"), fingerprint=spec.id)
    )
    row = json.dumps({"kind": "find", "material": "", "result": answer}, separators=(",", ":"))
    write_lines(folder.journal_path(spec.id), [row.replace("Infinity", "1e400")])
    assert run(["report", str(tmp_path)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"lrbench: error: {tmp_path} holds a range test that cannot be read"


def test_two_runs_differ_in_options_that_mean_something_in_both(tmp_path: Path) -> None:
    """Neither the range test nor the grid of a run whose LR was named."""
    swept = {"range_test": "points=30,seeds=1", "lr_factor": 3, "seeds": 1}
    named = {"lr": "0.05", "seeds": 5, "schedule": ["cosine", "constant"]}
    both = [Run(tmp_path / "a"), Run(tmp_path / "b")]
    for kept, options in zip(both, (named, {**swept, "schedule": ["cosine"]}), strict=True):
        spec = compare_spec({"dataset": "synthetic", **options})
        fields = {"experiment": spec.model_dump(mode="json"), "fingerprint": spec.fingerprint}
        kept.write_manifest(manifest(**fields, data={"digest": kept.path.name}))
    options = ["--lr 0.05 -> auto", "--seeds 5 -> 1"]
    assert differing(*both) == [*options, "constant is in A alone"]
    (notice,) = data_notices(*both)
    assert notice.message == "the two runs were trained on different data"


def test_only_some_schedules_are_ranked_and_the_files_stay(runs: Any, capsys: Any) -> None:
    before = (Path(runs[0]) / "ranking.csv").read_bytes()
    found = told(["report", runs[0], "--only", "constant"], capsys)
    assert [row["schedule"] for row in found["ranking"]] == ["constant"]
    assert (Path(runs[0]) / "ranking.csv").read_bytes() == before
    said = refused(["report", runs[0], "--only", "linear"], capsys)
    assert "--only linear: not in this run" in said


@pytest.mark.parametrize("opens", [[], ["--open"]])
def test_a_report_advises_no_report(runs: Any, capsys: Any, monkeypatch: Any, opens: Any) -> None:
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    assert run(["report", runs[0], "--only", "constant", *opens]) == 0
    assert "lrbench report" not in capsys.readouterr().out
