"""Independent runs of the final trials' shares, and the run that they make together."""

import shutil
from pathlib import Path

import pytest

from lrbench.__main__ import run as lrbench
from tests.reliability.tools import SMALL, completed, table, timeless

ARGV = [*SMALL, "--executor", "mock"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole comparison, its shards, a tuned run with the fourth of four, another's shard."""
    folder = tmp_path_factory.mktemp("shards")
    assert lrbench([*ARGV, "--out", str(folder / "whole")]) == 0
    for shard in ("1/3", "2/3", "3/3", "0/4"):
        path = folder / shard.replace("/", "-")
        assert lrbench([*ARGV, "--shard", shard, "--out", str(path)]) == 0
    shutil.copytree(folder / "0-4", folder / "4-4")
    assert lrbench([*ARGV, "--shard", "4/4", "--out", str(folder / "4-4")]) == 0
    other = ["--epochs", "3", "--shard", "2/3", "--out", str(folder / "other")]
    assert lrbench([*ARGV, *other]) == 0
    return folder


def named(runs: Path, *names: str) -> list[str]:
    return ["report", *(str(runs / name) for name in names)]


def test_merged_shards_are_the_whole_run(runs: Path, tmp_path: Path) -> None:
    merged = tmp_path / "merged"
    assert lrbench([*named(runs, "2-3", "3-3", "1-3"), "--out", str(merged)]) == 0
    assert timeless(merged) == timeless(runs / "whole")
    assert lrbench([*ARGV, "--seeds", "3", "--out", str(merged)]) == 0, "it goes on as any run"


def test_a_shard_says_that_it_is_one(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lrbench(named(runs, "1-3")) == 0
    said = capsys.readouterr()
    assert "shard 1/3 only" in " ".join(said.err.split())
    assert "next: merge all shards: lrbench report SHARD... --out DIR" in said.out


def test_shards_may_have_schedules_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_here.py").write_text("def half(step, steps):\n    return 0.5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for number in "12":
        shard = ["-s", "mine_here:half", "--shard", f"{number}/2", "--out", number]
        assert lrbench([*ARGV, *shard]) == 0
    # in a process that has not called the schedule yet
    completed("report", "1", "2", "--out", "merged", cwd=tmp_path)


def test_each_shard_tunes_and_trains_its_share(runs: Path) -> None:
    finals = {
        name: [row["trial"] for row in table(runs / name / "trials.csv") if row["stage"] == "final"]
        for name in ("whole", "1-3", "2-3", "3-3", "0-4", "4-4")
    }
    assert [len(finals[name]) for name in finals] == [4, 2, 1, 1, 0, 1]
    assert sorted(finals["1-3"] + finals["2-3"] + finals["3-3"]) == sorted(finals["whole"])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("1-3", "1-3"), "are the same shard"),
        (("1-3", "4-4"), "1/3, 4/4 divide the run differently"),
        (("1-3", "whole"), "whole is not a shard"),
        (("1-3", "other"), "--epochs 2 -> 3"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    runs: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...], words: str
) -> None:
    assert lrbench([*named(runs, *names), "--out", str(runs / "never")]) == 2
    assert words in capsys.readouterr().err
    assert not (runs / "never").exists()


def test_shards_that_are_not_there_are_named(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lrbench([*named(runs, "1-3", "3-3"), "--out", str(tmp_path / "part")]) == 0
    assert "missing shards: 2/3:" in capsys.readouterr().err
