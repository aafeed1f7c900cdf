"""The run directory: what survives. Journals are appended, all else can be made again from them."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from lrbench.errors import MachineError
from lrbench.experiment import TrialSpec, digest
from lrbench.files import is_scratch, readable_faults, replace_file, sync_folder
from lrbench.records import CutRecord, EpochRecord, History, Record, StepRecord, TrialEnd

SCHEMA_VERSION = 1
ONCE_UNSEALED = ("machine", "device", "threads", "lrbench")  # as the first seals left out
_KINDS = {"epoch": EpochRecord, "step": StepRecord, "cut": CutRecord, "end": TrialEnd}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True)
class Known:
    """All that a run directory holds: trials by their id, and the answers of range tests."""

    histories: Mapping[str, History] = field(default_factory=dict)
    finds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunDir:
    """A folder with one writer. Making the value does not touch the disk."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        return self.path / "manifest.json"

    def journal_path(self, trial: str) -> Path:
        return self.path / "trials" / trial / "journal.jsonl"

    def state_path(self, trial: str) -> Path:
        """Where a trial under way keeps its checkpoint."""
        return self.path / "trials" / trial / "state.pt"

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Make the folder and hold its lock.

        Raises:
            MachineError: another process writes here, or the folder cannot be written.
        """
        with readable_faults(self.path):
            (self.path / "trials").mkdir(parents=True, exist_ok=True)
            lock = self._locked()
        try:
            with readable_faults(self.path):
                (self.path / "run.pid").write_text(
                    f"process {os.getpid()} on {os.uname().nodename}"
                )
                self._tidy()
            yield
        finally:
            lock.release()

    def refuse_second_writer(self) -> None:
        """Say at once, before anything is read, that another process writes here.

        Raises:
            MachineError: it does.
        """
        if (self.path / "run.lock").exists():
            with readable_faults(self.path):
                self._locked().release()

    def _locked(self) -> FileLock:
        lock = FileLock(self.path / "run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise MachineError(
                f"{self.path} is in use by {self._owner()}",
                hint="wait for it, or choose another folder with --out",
            ) from None
        return lock

    def _tidy(self) -> None:
        """Remove the half-written files of a process that was killed."""
        for found in (*self.path.glob(".*"), *self.path.glob("*/.*"), *self.path.glob("*/*/.*")):
            if is_scratch(found):
                found.unlink(missing_ok=True)

    def _owner(self) -> str:
        try:
            return (self.path / "run.pid").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "another process"

    def manifest(self) -> dict[str, Any] | None:
        """The manifest, or None where no run has been.

        Raises:
            MachineError: it is damaged or was changed, or was written by a newer lrbench.
        """
        try:
            content = self.manifest_path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as fault:
            reason = (fault.strerror or str(fault)).lower()
            raise MachineError(f"cannot read {self.manifest_path}: {reason}") from None
        try:
            found: dict[str, Any] = json.loads(content)
            version = int(found["schema_version"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise MachineError(f"{self.manifest_path} is not the manifest of a run") from None
        older = {key: value for key, value in found.items() if key not in ONCE_UNSEALED}
        if found.pop("seal", _seal(found)) not in (_seal(found), _seal(older)):
            raise MachineError(
                f"{self.manifest_path} was changed or damaged after it was written",
                hint="undo the change, or choose another folder with --out",
            )
        if version > SCHEMA_VERSION:
            raise MachineError(
                f"{self.manifest_path} has schema {version}, this lrbench reads up to "
                f"{SCHEMA_VERSION}",
                hint="update torch-lrbench",
            )
        return found

    def write_manifest(self, content: Mapping[str, Any]) -> None:
        text = json.dumps({"schema_version": SCHEMA_VERSION, **content})
        body: dict[str, Any] = json.loads(text)  # with the keys that a reader will find
        body["seal"] = _seal(body)
        replace_file(self.manifest_path, (json.dumps(body, indent=2) + "\n").encode())

    def begin(self, trial: TrialSpec) -> None:
        """Start the journal of a trial anew."""
        spec = trial.model_dump(mode="json")
        self._begin(trial.id, {"kind": "trial", "spec": spec})

    def rewind(self, trial: TrialSpec, epochs: int) -> bool:
        """Cut the journal of a trial back to its first epochs; False where it has fewer."""
        path = self.journal_path(trial.id)
        if not path.exists():
            return False
        rows = _read_journal(path)
        ends = [place for place, row in enumerate(rows) if row.get("kind") == "epoch"]
        if len(ends) < epochs or not epochs:
            return False
        kept = "".join(_sealed(row) for row in rows[: ends[epochs - 1] + 1])
        replace_file(path, kept.encode())
        return True

    def conclude(self, trial: TrialSpec, end: TrialEnd) -> TrialEnd:
        """Add how a trial ended to what its journal holds, a torn last line aside: the process
        that wrote it may have died. Returns the end that stands, which is the first."""
        path = self.journal_path(trial.id)
        rows = _read_journal(path) if path.exists() else []
        rows = rows or [{"kind": "trial", "spec": trial.model_dump(mode="json")}]
        known = _history(path, rows)
        if known.end is not None:
            return known.end
        if known.epochs:
            steps, train_s = known.epochs[-1].step, sum(epoch.train_s for epoch in known.epochs)
            end = replace(end, epochs=len(known.epochs), steps=steps, train_s=train_s)
        replace_file(path, "".join(map(_sealed, [*rows, row_of(end)])).encode())
        return end

    def forget(self, trial: str) -> None:
        """Leave no trace of a trial: it will be trained anew."""
        for path in (self.journal_path(trial), self.state_path(trial)):
            with readable_faults(path, "delete"):
                path.unlink(missing_ok=True)

    def append(self, trial: str, records: Iterable[Record]) -> None:
        """Add records to the trial's journal; they are on the disk when this returns.

        Raises:
            MachineError: the disk is full, or somebody has deleted the journal.
        """
        path = self.journal_path(trial)
        with readable_faults(path):
            _write(path, map(row_of, records), os.O_APPEND)

    def save_find(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep the answer of a range test."""
        self._begin(key, {"kind": "find", "result": result})

    def _begin(self, name: str, row: Mapping[str, Any]) -> None:
        path = self.journal_path(name)
        with readable_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, [row], os.O_CREAT | os.O_TRUNC)
        for folder in (path.parent, path.parent.parent):
            sync_folder(folder)

    def known(self) -> Known:
        """Read every journal. A torn last line is left out: it was never acknowledged.

        Raises:
            MachineError: a journal is damaged before its last line.
        """
        histories: dict[str, History] = {}
        finds: dict[str, Mapping[str, Any]] = {}
        for path in sorted(self.path.glob("trials/*/journal.jsonl")):
            rows = _read_journal(path)
            if rows and rows[0].get("kind") == "find":
                finds[path.parent.name] = rows[0].get("result", {})
            elif rows:
                histories[path.parent.name] = _history(path, rows)
        return Known(histories, finds)


def row_of(record: Record) -> dict[str, Any]:
    """A record as plain JSON values."""
    return {"kind": _NAMES[type(record)], **asdict(record)}


def record_of(row: Mapping[str, Any]) -> Record:
    """The record that a row was made from.

    Raises:
        KeyError, TypeError, ValueError: it is no row of a record.
    """
    content = dict(row)
    kind = _KINDS[content.pop("kind")]
    if unknown := content.keys() - {field.name for field in fields(kind)}:
        raise ValueError(f"nobody knows {', '.join(unknown)}")
    record: Record = _reader(kind).validate_python(content)
    return record


@cache
def _reader(kind: type[Record]) -> TypeAdapter[Record]:
    return TypeAdapter(kind)


def _history(path: Path, rows: list[dict[str, Any]]) -> History:
    try:
        if rows[0]["kind"] != "trial":
            raise ValueError("the line that names its trial is missing")
        spec = TrialSpec.model_validate(rows[0]["spec"])
        records: list[Record] = []
        records += map(record_of, rows[1:])
    except (KeyError, TypeError, ValueError) as fault:
        raise MachineError(
            f"{path} holds a record that this lrbench cannot read ({fault.__class__.__name__})",
            hint="delete that file to train its trial again",
        ) from None
    epochs = tuple(r for r in records if isinstance(r, EpochRecord))
    if [r.epoch for r in epochs] != [*range(1, len(epochs) + 1)]:
        raise _foreign(path, "its epochs do not follow one another")
    if any(r.trial != path.parent.name for r in records):
        raise _foreign(path, "it holds records of another trial")
    return History(
        spec=spec,
        epochs=epochs,
        steps=tuple(r for r in records if isinstance(r, StepRecord)),
        cuts=tuple(r for r in records if isinstance(r, CutRecord)),
        end=next((r for r in records if isinstance(r, TrialEnd)), None),
    )


def _foreign(path: Path, what: str) -> MachineError:
    return MachineError(
        f"{path} is damaged: {what}", hint="delete that file to train its trial again"
    )


def _seal(manifest: Mapping[str, Any]) -> str:
    sealed = {key: value for key, value in manifest.items() if key != "seal"}
    return digest(json.dumps(sealed, sort_keys=True), 16)


def _sealed(row: Mapping[str, Any]) -> str:
    """One JSON line whose last field is the CRC-32 of all before it."""
    text = json.dumps(row, separators=(",", ":"), allow_nan=False)
    return f'{text[:-1]},"crc":"{zlib.crc32(text.encode()):08x}"}}\n'


def _unsealed(line: str) -> dict[str, Any] | None:
    """The row of a sealed line, or None if the line is not whole."""
    body, mark, seal = line.rpartition(',"crc":"')
    text = body + "}"
    if not mark or seal != f'{zlib.crc32(text.encode()):08x}"}}':
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):  # sealed by somebody who means harm
        return None
    return row if isinstance(row, dict) else None


def _read_journal(path: Path) -> list[dict[str, Any]]:
    with readable_faults(path, "read"):
        text = path.read_bytes().decode("utf-8", errors="replace")
    *lines, tail = text.split("\n")
    rows = [_unsealed(line) for line in lines]
    if rows and rows[-1] is None and not tail:
        rows.pop()
    if any(row is None for row in rows):
        raise MachineError(
            f"{path} is damaged in line {rows.index(None) + 1}",
            hint="delete that file to train its trial again",
        )
    return [row for row in rows if row is not None]


def _write(path: Path, rows: Iterable[Mapping[str, Any]], flag: int) -> None:
    data = "".join(map(_sealed, rows)).encode()
    descriptor = os.open(path, os.O_WRONLY | flag, 0o644)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
