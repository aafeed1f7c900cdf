"""The run directory: journals that survive, one writer, and refusals in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import MachineError
from lrbench.experiment import Recipe, TrialSpec, digest
from lrbench.records import CutRecord, EpochRecord, StepRecord, TrialEnd
from lrbench.run import store
from lrbench.run.store import RunDir, row_of

TRIAL = TrialSpec(recipe=Recipe(), schedule="cosine", lr=0.1, seed=0, stage="final", epochs=2)
EPOCH = EpochRecord(TRIAL.id, 1, 28, 0.1, 1 / 3, 2.3, 0.1, None, 0.2, 0.5, 1e4)
RECORDS = [
    StepRecord(TRIAL.id, 0, 0, 0.1, None, 2.3),
    EPOCH,
    CutRecord(TRIAL.id, 1, 0.1, 0.01),
    TrialEnd(TRIAL.id, "done", epochs=1, steps=28, machine={"threads": 2}),
]


def filled(path: Path) -> RunDir:
    run = RunDir(path)
    with run.writer():
        run.begin(TRIAL)
        for record in RECORDS:
            run.append(TRIAL.id, [record])
    return run


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    history = filled(tmp_path / "run").known().histories[TRIAL.id]
    assert history.spec == TRIAL
    assert [*history.steps, *history.epochs, *history.cuts, history.end] == RECORDS


def test_a_torn_last_line_was_never_acknowledged(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    path = run.journal_path(TRIAL.id)
    whole = path.read_bytes()
    for cut in range(1, 60, 7):
        path.write_bytes(whole[:-cut])
        history = run.known().histories[TRIAL.id]
        assert history.end is None
        assert history.epochs == (EPOCH,)


def test_damage_in_the_middle_is_refused_by_name(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    path = run.journal_path(TRIAL.id)
    whole = path.read_bytes()
    spot = whole.index(b"2.3")
    path.write_bytes(whole[:spot] + b"9" + whole[spot + 1 :])
    with pytest.raises(MachineError, match=r"journal\.jsonl is damaged in line 2"):
        run.known()


def test_a_new_beginning_forgets_the_old_records(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    run.begin(TRIAL)
    assert run.known().histories[TRIAL.id].epochs == ()


def test_the_answer_of_a_range_test_is_kept(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.save_find("abc", {"lr": 0.1, "grade": "ok"})
    assert run.known().finds == {"abc": {"lr": 0.1, "grade": "ok"}}


def test_a_second_writer_is_refused_and_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from lrbench.run.store import RunDir\n"
        "from lrbench.errors import MachineError\n"
        "try:\n    RunDir(Path(sys.argv[1])).writer().__enter__()\n"
        "except MachineError as fault:\n    sys.exit(str(fault))"
    )
    with run.writer():
        other = subprocess.run(
            [sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=False
        )
    assert other.returncode == 1
    assert "in use by process" in other.stderr
    with run.writer():
        pass


def test_a_path_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("not a folder")
    with pytest.raises(MachineError, match="cannot write"), RunDir(tmp_path / "run").writer():
        pass


def test_the_manifest_comes_back_or_says_what_is_wrong(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.manifest() is None
    run.write_manifest({"command": "compare"})
    assert run.manifest() == {"schema_version": 1, "command": "compare"}
    run.manifest_path.write_text("{")
    with pytest.raises(MachineError, match="not the manifest"):
        run.manifest()
    run.manifest_path.write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(MachineError, match="schema 99"):
        run.manifest()


@pytest.mark.parametrize("bit", [1, 0x80])
def test_no_changed_byte_of_a_manifest_is_believed(tmp_path: Path, bit: int) -> None:
    run = RunDir(tmp_path)
    run.write_manifest({"command": "compare", "device": {"name": "cpu"}, "seeds": [1, 2]})
    whole = run.manifest_path.read_bytes()
    for place in range(len(whole)):
        run.manifest_path.write_bytes(
            whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
        )
        if b'"seal"' not in run.manifest_path.read_bytes():
            continue  # as those of runs before there was one
        with pytest.raises(MachineError, match=r"not the manifest|changed or damaged"):
            run.manifest()


def test_a_seal_of_before_the_machine_was_sealed_is_known(tmp_path: Path) -> None:
    sealed = {"command": "compare", "schema_version": 1, "seeds": [1, 2]}
    seal = digest(json.dumps(sealed, sort_keys=True), 16)
    whole = {**sealed, "threads": 2, "seal": seal}
    (tmp_path / "manifest.json").write_text(json.dumps(whole))
    assert RunDir(tmp_path).manifest() == {**sealed, "threads": 2}
    (tmp_path / "manifest.json").write_text(json.dumps({**whole, "seeds": [1, 3]}))
    with pytest.raises(MachineError, match="changed or damaged"):
        RunDir(tmp_path).manifest()


def test_a_manifest_nested_without_end_is_refused(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.manifest_path.write_text("[" * 200_000)
    with pytest.raises(MachineError, match="not the manifest"):
        run.manifest()


def test_a_manifest_that_was_changed_is_refused(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    steps = {64: 2, 128: 1}  # numbers as keys, which JSON makes text of
    run.write_manifest({"data": {"test": 1000}, "threads": 2, "steps_per_epoch": steps})
    assert run.manifest() is not None
    whole = run.manifest_path.read_text()
    run.manifest_path.write_text(whole.replace("1000", "1001"))
    with pytest.raises(MachineError, match="was changed or damaged"):
        run.manifest()


def test_the_journal_of_another_trial_is_refused(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    other = run.journal_path("0" * 12)
    other.parent.mkdir()
    other.write_bytes(run.journal_path(TRIAL.id).read_bytes())
    with pytest.raises(MachineError, match="records of another trial"):
        run.known()


@pytest.mark.parametrize("lost", [0, 2])
def test_a_line_that_is_missing_is_refused(tmp_path: Path, lost: int) -> None:
    run = filled(tmp_path / "run")
    run.append(TRIAL.id, [replace(EPOCH, epoch=2)])
    path = run.journal_path(TRIAL.id)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:lost] + lines[lost + 1 :]))
    with pytest.raises(MachineError, match="journal"):
        run.known()


def test_numbers_survive_to_the_last_bit(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.begin(TRIAL)
    odd = replace(EPOCH, train_loss=0.1 + 0.2, lr_last=1e-300)
    run.append(TRIAL.id, [odd])
    assert run.known().histories[TRIAL.id].epochs == (odd,)


def test_a_last_line_that_is_broken_within_was_never_acknowledged_either(tmp_path: Path) -> None:
    """As a power cut leaves it: the length is there, the content is not."""
    run = filled(tmp_path / "run")
    path = run.journal_path(TRIAL.id)
    path.write_bytes(path.read_bytes()[:-20] + b"\0" * 19 + b"\n")
    history = run.known().histories[TRIAL.id]
    assert history.end is None and history.epochs == (EPOCH,)


@pytest.mark.parametrize("text", ["[" * 100_000, "nonsense", "[1]"])
def test_a_line_that_is_sealed_but_no_row_is_refused(tmp_path: Path, text: str) -> None:
    run = filled(tmp_path / "run")
    path = run.journal_path(TRIAL.id)
    body = f'{{"kind":{text}'
    seal = zlib.crc32(f"{body}}}".encode())
    path.write_text(f'{body},"crc":"{seal:08x}"}}\n' + path.read_text())
    with pytest.raises(MachineError, match=r"journal\.jsonl"):
        run.known()


def test_a_journal_that_was_deleted_is_not_begun_in_the_middle(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "trials")
    with pytest.raises(MachineError, match=r"cannot write .*journal\.jsonl: no such file"):
        run.append(TRIAL.id, [EPOCH])
    assert run.known().histories == {}


def test_what_was_acknowledged_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content and names alike: what a kill cannot show, a power cut can."""
    deeds = watched(monkeypatch)
    run = RunDir(tmp_path / "run")
    run.begin(TRIAL)
    folder = f"run/trials/{TRIAL.id}"
    journal = f"{folder}/journal.jsonl"
    synced = [("fsync", name) for name in (journal, folder, "run/trials")]
    assert deeds == [("write", journal), *synced]
    deeds.clear()
    run.append(TRIAL.id, [EPOCH])
    assert deeds == [("write", journal), ("fsync", journal)]


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is written and synced from now on, by the last parts of its path."""
    deeds: list[tuple[str, str]] = []

    def spy(name: str, deed: Any) -> Any:
        def do(descriptor: int, *more: Any) -> Any:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            deeds.append((name, str(path)[str(path).index("/run") + 1 :]))
            return deed(descriptor, *more)

        return do

    for name in ("write", "fsync"):
        monkeypatch.setattr(os, name, spy(name, getattr(os, name)))
    return deeds


@pytest.mark.parametrize("change", [{"lr": "x"}, {"group": {"a": 1}}, {"lr": None}, {"more": 1}])
def test_a_record_of_other_types_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    run = filled(tmp_path / "run")
    row = {**row_of(RECORDS[0]), **change}
    path = run.journal_path(TRIAL.id)
    path.write_text(path.read_text() + store._sealed(row))
    with pytest.raises(MachineError, match=r"journal\.jsonl holds a record that"):
        run.known()
