"""Flipped bytes and cut files, anywhere in a run: recomputed or refused by name, never believed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.execute import trial
from lrbench.report import renderers, write_csv
from tests.reliability.round import mutations
from tests.reliability.tools import SMALL, record, table, timeless

ARGV = [*SMALL, "--lr", "0.1", "--seeds", "3"]
KEYS = {"trials.csv": ("trial",), "epochs.csv": ("trial", "epoch")}


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderers, "write_all", lambda summary, folder, *_: write_csv.write(
        summary, folder))  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """One run that is done, and one that was left in the middle of its fourth trial."""
    folder = tmp_path_factory.mktemp("runs")
    assert run([*ARGV, "--out", str(folder / "whole")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        save, saved = trial.checkpoint.save, []

        def last(*arguments: Any) -> None:
            save(*arguments)
            saved.append(arguments)
            if len(saved) == 7:
                raise KeyboardInterrupt

        patch.setattr(trial, "CHECKPOINT_S", -1.0)
        patch.setattr(trial.checkpoint, "save", last)
        assert run([*ARGV, "--out", str(folder / "cut")]) == 130
    assert run(["report", str(folder / "cut")]) == 0
    assert len(list(folder.glob("cut/trials/*/state.pt"))) == 1
    yield folder / "whole", folder / "cut"


def damage(path: Path, chance: random.Random) -> str:
    """Flip a bit or cut the file off, somewhere. Says what was done."""
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    if chance.random() < 0.5:
        path.write_bytes(bytes(content[:place]))
        return f"{path.name} cut to {place} bytes"
    content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(content))
    return f"{path.name} flipped at byte {place}"


def nothing_wrong_in(found: Path, known: Path, what: str) -> None:
    """Every row is one of the undamaged run; one that is not done may miss what it has lost."""
    for name, keys in KEYS.items():
        whole = {tuple(row[key] for key in keys): row for row in table(known / name)}
        for row in table(found / name):
            true = whole[tuple(row[key] for key in keys)]
            assert row == true or row.get("status") == "", (what, name, row, true)
    ranks = {row["schedule"]: row for row in table(known / "ranking.csv")}
    for row in table(found / "ranking.csv"):
        true = ranks[row["schedule"]]
        assert row["metric_mean"] == true["metric_mean"] or row["n"] != true["n"], (what, row)


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize(
    "times", [pytest.param(14, marks=pytest.mark.long), pytest.param(200, marks=pytest.mark.soak)]
)
def test_damage_is_never_believed(
    tmp_path: Path, runs: tuple[Path, Path], times: int, capsys: Any
) -> None:
    whole, cut = runs
    chance = random.Random(times)
    files = sorted(p for p in cut.rglob("*") if p.is_file() and p.name != "run.lock")
    counts = {"recomputed": 0, "refused": 0}
    for number in range(times):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(cut, copy)
        what = damage(copy / files[number % len(files)].relative_to(cut), chance)
        capsys.readouterr()
        code = run(["report", str(copy)])
        said = capsys.readouterr().err
        assert code in (0, 2, 3) and "Traceback" not in said, (what, said)
        if code == 0:
            nothing_wrong_in(copy, cut, what)
        else:
            assert "manifest.json" in said or "journal.jsonl" in said, (what, said)
        code = run([*ARGV, "--out", str(copy)])
        said = capsys.readouterr().err
        assert code in (0, 2, 3) and "Traceback" not in said, (what, said)
        if code == 0:
            assert timeless(copy) == timeless(whole), what
        else:
            assert any(w in said for w in ("manifest.json", "journal.jsonl", "elsewhere")), said
        counts["refused" if code else "recomputed"] += 1
        shutil.rmtree(copy)
    assert all(counts.values()), counts
    record(
        "bit flips and truncations over every file of a run",
        f"{times} ({counts['recomputed']} recomputed, {counts['refused']} refused by name)",
        "0 wrong numbers, 0 tracebacks",
    )


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    *faults, _ = mutations(tmp_path, 150, random.Random(24))
    assert not faults
