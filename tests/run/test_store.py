"""The run directory: journals that survive, one writer, one reading, refusals in one line."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import MachineError
from lrbench.options import Recipe, TrialSpec
from lrbench.records import CutRecord, EpochRecord, History, StepRecord, TrialEnd, extended
from lrbench.run.store import Run
from tests.run.made import manifest, rows_of, write_lines, write_rows

TRIAL = TrialSpec(recipe=Recipe(), schedule="cosine", lr=0.1, seed=0, stage="final", epochs=2)
EPOCH = EpochRecord(TRIAL.id, 1, 28, 1e-300, 1 / 3, 2.3, 0.1, None, 0.2, 0.5, 1e4)
RECORDS = [
    StepRecord(TRIAL.id, 0, 0, 0.1, None, 2.3),
    EPOCH,
    CutRecord(TRIAL.id, 1, 0.1, 0.01),
    TrialEnd(TRIAL.id, "done", epochs=1, steps=28, machine={"threads": 2}),
]


def filled(path: Path, records: Any = RECORDS) -> Run:
    """A run with one trial, as another process finds it."""
    run = Run(path)
    with run.writer():
        run.begin(TRIAL)
        for record in records:
            run.append(TRIAL.id, [record])
    return Run(path)


def history(run: Run) -> History:
    return Run(run.path).histories[TRIAL.id]


def journal(run: Run) -> Path:
    return run.journal_path(TRIAL.id)


def test_a_torn_last_line_was_never_acknowledged(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    whole = journal(run).read_bytes()
    power_cut = whole[:-20] + b"\0" * 19 + b"\n"  # the length is there, the content is not
    for torn in (power_cut, *(whole[:-cut] for cut in range(1, 60, 7))):
        journal(run).write_bytes(torn)
        assert history(run).end is None
        assert history(run).epochs == (EPOCH,)


LATER = [EPOCH, replace(EPOCH, epoch=2), replace(EPOCH, epoch=3)]


def test_a_line_that_is_not_as_and_where_it_was_written_is_refused(tmp_path: Path) -> None:
    """Lines that are deleted, doubled or moved; a loss or a step that is another."""
    run = filled(tmp_path / "run", LATER)
    a, b, c, d = journal(run).read_text().splitlines(keepends=True)
    loss, step = b.replace("2.3", "2.4"), b.replace(":28,", ":29,")
    moved = (a, c, d), (b, c, d), (a, b, b, c, d), (a, c, b, d)
    for lines in (*moved, (a, loss, c, d), (a, step, c, d)):
        journal(run).write_text("".join(lines))
        with pytest.raises(MachineError, match=r"jsonl is damaged: line \d does not match"):
            history(run)


STRANGER = TRIAL.model_copy(update={"seed": 1})


def test_right_checksums_do_not_make_a_wrong_journal_right(tmp_path: Path) -> None:
    run = filled(tmp_path / "run", [*LATER, replace(RECORDS[-1], epochs=3)])
    begun, *epochs, end = rows_of(journal(run))
    first, second, third = epochs
    odd = ({"train_loss": 1e999}, {"lr_first": "x"}, {"step": None}, {"more": 1}, {"kind": "odd"})
    for rows, words in (
        ([{**begun, "spec": STRANGER.model_dump(mode="json")}, first], "records of another trial"),
        ([begun, {**first, "trial": STRANGER.id}, second], "records of another trial"),
        ([*epochs, end], "that this lrbench cannot read"),
        ([begun, first, third, end], "do not follow one another"),
        ([begun, first, second, end], "not match its epoch count"),
        ([begun, *epochs, end, end], "continues after the end"),
        *(([begun, {**first, **field}], "cannot read") for field in odd),
        ([{"kind": "find", "result": {}}, *epochs, end], "answer of a range test"),
    ):
        write_rows(journal(run), rows)
        with pytest.raises(MachineError, match=rf"journal\.jsonl .*{words}"):
            history(run)


@pytest.mark.parametrize("body", ['{"kind":' + "[" * 100_000 + "}", '{"kind":nonsense}'])
def test_a_line_that_is_not_json_is_refused(tmp_path: Path, body: str) -> None:
    run = filled(tmp_path / "run")
    write_lines(journal(run), [body, body])
    with pytest.raises(MachineError, match=r"journal\.jsonl is damaged: line 1"):
        history(run)


def test_the_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    """The same trial, trained by other code or on other data."""
    for name in ("a", "b"):
        run = Run(tmp_path / name)
        run.write_manifest(manifest(material=name))
        run.begin(TRIAL)
        assert TRIAL.id in Run(run.path).histories
    shutil.copy(Run(tmp_path / "a").journal_path(TRIAL.id), journal(run))
    with pytest.raises(MachineError, match="to a run with other code or data"):
        history(run)


@pytest.mark.parametrize("opened", [True, False])
def test_a_trial_goes_on_after_an_epoch(tmp_path: Path, opened: bool) -> None:
    """In the process that has read the run, and in one that trains for it."""
    run = filled(tmp_path / "run", LATER)
    torn = journal(run).read_bytes() + b"torn"
    for epochs, kept in ((0, False), (4, False), (2, True)):
        journal(run).write_bytes(torn)
        again = Run(run.path)
        assert not opened or again.histories
        assert again.rewind(TRIAL, epochs) == kept
    again.append(TRIAL.id, [replace(EPOCH, epoch=3, train_loss=7.0)])
    assert [epoch.train_loss for epoch in history(run).epochs] == [2.3, 2.3, 7.0]


def test_an_end_is_added_to_what_a_dead_process_wrote(tmp_path: Path) -> None:
    failed = TrialEnd(TRIAL.id, "failed", "killed")
    run = filled(tmp_path / "run", LATER[:2])
    end = run.conclude(TRIAL, failed)
    assert (end.epochs, end.steps, end.train_s, end.reason) == (2, 28, 1.0, "killed")
    assert history(run).end == end
    assert run.conclude(TRIAL, replace(failed, reason="again")) == end
    assert Run(tmp_path / "other").conclude(TRIAL, failed) == failed


def test_what_is_noted_equals_what_is_read(tmp_path: Path) -> None:
    """Epochs that are trained again replace those of before, with their steps and cuts."""
    again = [StepRecord(TRIAL.id, 28, 0, 0.2, None, 1.0), replace(EPOCH, epoch=2, step=56)]
    first = [StepRecord(TRIAL.id, 28, 0, 0.1, None, 2.0), CutRecord(TRIAL.id, 2, 0.1, 0.01),
             replace(EPOCH, epoch=2, step=56, train_loss=1.0)]  # fmt: skip
    run = Run(tmp_path)
    *begun, end = RECORDS
    for records in ([], begun, first, again, [replace(end, epochs=2)]):
        run.note(TRIAL, records)
    written = history(filled(tmp_path, [*begun, *again, replace(end, epochs=2)]))
    assert run.histories[TRIAL.id] == written
    assert (len(written.steps), len(written.epochs), len(written.cuts)) == (2, 2, 1)
    failed = extended(extended(History(TRIAL), LATER), [TrialEnd(TRIAL.id, "failed", epochs=1)])
    assert len(failed.epochs) == 1


def test_the_answer_of_a_range_test_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save_find("abc", {"lr": 0.1, "grade": "ok"})
    assert run.finds == Run(tmp_path).finds == {"abc": {"lr": 0.1, "grade": "ok"}}


def test_a_manifest_that_another_process_has_replaced_meanwhile_is_not_overwritten(
    tmp_path: Path,
) -> None:
    run, other = Run(tmp_path), Run(tmp_path)
    other.write_manifest(manifest())
    assert run.manifest is not None
    other.write_manifest(manifest(threads=2))
    with pytest.raises(MachineError, match="another process has changed"), run.writer():
        pass


def test_a_file_in_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "trials").write_text("not a folder")
    with pytest.raises(MachineError, match="cannot write"), Run(tmp_path / "trials").writer():
        pass
    with pytest.raises(MachineError, match=r"cannot read .*trials: not a directory"):
        assert Run(tmp_path).histories


@pytest.mark.parametrize(
    ("place", "outside"),
    [("trials", "folder"), (f"trials/{TRIAL.id}", "folder"), ("run.lock", "folder/file"),
     (f"trials/{TRIAL.id}/journal.jsonl", "folder/file")],
)  # fmt: skip
def test_a_link_in_a_run_is_not_followed(tmp_path: Path, place: str, outside: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    run = Run(tmp_path / "run")
    (run.path / place).parent.mkdir(parents=True)
    (run.path / place).symlink_to(tmp_path / outside)
    with pytest.raises(MachineError, match="cannot write"), run.writer():
        run.begin(TRIAL)
    assert [path.read_text() for path in (tmp_path / "folder").iterdir()] == ["mine"]


def test_the_manifest_comes_back_or_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    assert Run(tmp_path).manifest is None
    Run(tmp_path).write_manifest(manifest(steps_per_epoch={64: 2, 128: 1}))
    assert Run(tmp_path).manifest == manifest(schema_version=1, steps_per_epoch={"64": 2, "128": 1})
    without = json.loads(path.read_text())
    del without["checksum"]
    for text, words in (
        *((text, "not the manifest") for text in ("{", "[" * 200_000, '{"schema_version": NaN}')),
        ('{"schema_version": 99}', "schema 99"), (json.dumps(without), "changed or damaged"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(MachineError, match=words):
            assert Run(tmp_path).manifest


@pytest.mark.parametrize(
    ("field", "value"),
    [("threads", "2"), ("device", None), ("command", "train"), ("forced", "x"), ("unknown", 1),
     ("code", {"a": 1}), ("steps_per_epoch", 1.5)],
)  # fmt: skip
def test_a_field_of_another_type_is_named(tmp_path: Path, field: str, value: Any) -> None:
    Run(tmp_path).write_manifest(manifest(**{field: value}))
    with pytest.raises(MachineError, match=rf"manifest\.json: {field}.*: "):
        assert Run(tmp_path).manifest


@pytest.mark.parametrize("bit", [1, 0x80])
def test_no_changed_byte_of_a_manifest_is_believed(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "manifest.json"
    Run(tmp_path).write_manifest(manifest(data={"test": 1000}))
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        with suppress(ValueError):
            if json.loads(path.read_bytes()) == json.loads(whole):
                continue  # white space
        with pytest.raises(MachineError, match=r"not the manifest|changed or damaged|schema"):
            assert Run(tmp_path).manifest


def test_a_journal_that_was_deleted_or_cut_is_not_continued(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.begin(TRIAL)
    journal(run).write_bytes(b"")
    with pytest.raises(MachineError, match="shortened"):
        run.append(TRIAL.id, [EPOCH])
    shutil.rmtree(tmp_path / "run" / "trials")
    with pytest.raises(MachineError, match=r"cannot write .*journal\.jsonl: no such file"):
        run.append(TRIAL.id, [EPOCH])
    assert Run(run.path).histories == {}


def test_what_was_acknowledged_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content and names alike: what a kill cannot show, a power cut can."""
    deeds: list[tuple[str, str]] = []
    true = {name: getattr(os, name) for name in ("write", "fsync")}

    def seen(name: str, descriptor: int, *more: Any) -> Any:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        deeds.append((name, str(path.relative_to(tmp_path))))
        return true[name](descriptor, *more)

    for name in true:
        monkeypatch.setattr(os, name, partial(seen, name))
    run = Run(tmp_path / "run")
    run.begin(TRIAL)
    folder = f"run/trials/{TRIAL.id}"
    written = f"{folder}/journal.jsonl"
    synced = [("fsync", name) for name in (written, folder, "run/trials")]
    assert deeds == [("write", written), *synced]
    deeds.clear()
    run.append(TRIAL.id, [EPOCH])
    assert deeds == [("write", written), ("fsync", written)]
