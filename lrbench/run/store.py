"""The run directory. Manifest and journals are the record; all else can be made from them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lrbench.errors import MachineError, UsageError
from lrbench.files import is_scratch, readable_faults, sync_folder
from lrbench.options import TrialSpec
from lrbench.records import History, Record, TrialEnd, extended
from lrbench.run import journal, manifest
from lrbench.run.journal import Mark, row_of

FOLDERS = ("trials", "plots", "tensorboard")


@dataclass(eq=False)
class Run:
    """A folder with one writer. Manifest and journals are read once, on first use, and kept in
    memory, where `note` adds new records. Creating the object does not touch the disk.

    `material` comes from the manifest; worker processes get it from their parent.
    """

    path: Path
    material: str = ""
    _marks: dict[str, Mark] = field(default_factory=dict)
    _stamp: int = 0

    @cached_property
    def manifest(self) -> dict[str, Any] | None:
        """The manifest, or None if there has been no run.

        Raises:
            MachineError: it is damaged or was changed, or was written by a newer lrbench.
        """
        self._stamp = self._stamped()
        found = manifest.read(self.path / "manifest.json")
        self.material = found["material"] if found else self.material
        return found

    def write_manifest(self, content: Mapping[str, Any]) -> None:
        self.manifest = manifest.write(self.path / "manifest.json", content)
        self._stamp = self._stamped()
        self.material = self.manifest.get("material", "")

    @property
    def histories(self) -> dict[str, History]:
        """The histories of trials in the journals, by trial id. A torn last line is left out: it
        was never acknowledged.

        Raises:
            MachineError: a journal is damaged, or belongs to another run.
        """
        return self._known[0]

    @property
    def finds(self) -> dict[str, Mapping[str, Any]]:
        """The answers of range tests, by id."""
        return self._known[1]

    @cached_property
    def _known(self) -> tuple[dict[str, History], dict[str, Mapping[str, Any]]]:
        histories: dict[str, History] = {}
        finds: dict[str, Mapping[str, Any]] = {}
        bound = self.manifest is not None
        folder, trials = self.path / "trials", list[str]()
        if folder.exists() or folder.is_symlink():
            with readable_faults(folder, "read"):
                found = os.scandir(folder)
                trials = sorted(x.name for x in found if x.is_dir(follow_symlinks=False))
        for trial in trials:
            path = self.journal_path(trial)
            rows = [row for row, _ in journal.read(path)]
            if not rows:
                continue
            if bound and rows[0].get("material") != self.material:
                raise journal.damaged(path, "it belongs to a run with other code or data")
            if rows[0].get("kind") != "find":
                histories[trial] = journal.history_of(path, rows)
            elif len(rows) == 1 and isinstance(rows[0].get("result"), dict):
                finds[trial] = rows[0]["result"]
            else:
                raise journal.damaged(path, "it does not hold the answer of a range test")
        return histories, finds

    def journal_path(self, trial: str) -> Path:
        return self.path / "trials" / trial / "journal.jsonl"

    def state_path(self, trial: str) -> Path:
        """Where a trial in progress keeps its checkpoint."""
        return self.path / "trials" / trial / "state.pt"

    def note(self, trial: TrialSpec, records: Sequence[Record]) -> None:
        """Remember records that an executor has written to a journal."""
        history = self.histories.get(trial.id, History(trial))
        self.histories[trial.id] = extended(history, records)

    def reread(self, trial: TrialSpec) -> History:
        """Read a trial's journal again: a process may have died after writing records but before
        reporting them."""
        path = self.journal_path(trial.id)
        rows = [row for row, _ in journal.read(path)]
        history = journal.history_of(path, rows) if rows else History(trial)
        self.histories[trial.id] = history
        return history

    def begin(self, trial: TrialSpec) -> None:
        """Start the journal of a trial from scratch."""
        spec = trial.model_dump(mode="json")
        self._begin(trial.id, {"kind": "trial", "material": self.material, "spec": spec})

    def append(self, trial: str, records: Iterable[Record]) -> None:
        """Add records to the journal of a trial that was begun or rewound; they are on disk when
        this returns.

        Raises:
            MachineError: the disk is full, or the journal was deleted.
        """
        path = self.journal_path(trial)
        with readable_faults(path):
            self._marks[trial] = journal.write(path, map(row_of, records), self._marks[trial])

    def rewind(self, trial: TrialSpec, epochs: int) -> bool:
        """Cut the journal of a trial back to its first epochs; False if it has fewer."""
        path = self.journal_path(trial.id)
        ends = [mark for row, mark in journal.read(path) if row.get("kind") in ("trial", "epoch")]
        if not 0 < epochs < len(ends):
            return False
        with readable_faults(path):
            self._marks[trial.id] = journal.write(path, [], ends[epochs])
        return True

    def conclude(self, trial: TrialSpec, end: TrialEnd) -> TrialEnd:
        """Add the end of a trial to its journal, which is read again: the process that wrote it may
        have died. Returns the end that counts, the first in the journal."""
        found = journal.read(self.journal_path(trial.id))
        if not found:
            self.begin(trial)
        else:
            self._marks[trial.id] = found[-1][1]
            history = journal.history_of(self.journal_path(trial.id), [row for row, _ in found])
            if history.end is not None:
                return history.end
            if history.epochs:
                train_s = sum(epoch.train_s for epoch in history.epochs)
                steps = history.epochs[-1].step
                end = replace(end, epochs=len(history.epochs), steps=steps, train_s=train_s)
        self.append(trial.id, [end])
        return end

    def forget(self, trial: str) -> None:
        """Delete a trial, so that it is trained again."""
        self.histories.pop(trial, None)
        for path in (self.journal_path(trial), self.state_path(trial)):
            with readable_faults(path, "delete"):
                path.unlink(missing_ok=True)

    def save_find(self, key: str, result: Mapping[str, Any]) -> None:
        """Save the answer of a range test."""
        self._begin(key, {"kind": "find", "material": self.material, "result": result})
        self.finds[key] = result

    def _begin(self, name: str, row: Mapping[str, Any]) -> None:
        path = self.journal_path(name)
        with readable_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._marks[name] = journal.write(path, [row])
        for folder in (path.parent, path.parent.parent):
            sync_folder(folder)

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Create the folder and hold its lock.

        Raises:
            MachineError: another process writes here, or the folder cannot be written.
        """
        with readable_faults(self.path):
            (self.path / "trials").mkdir(parents=True, exist_ok=True)
            for name in FOLDERS:
                for path in (self.path / name, *(self.path / name).glob("*")):
                    _refuse_link(path)
            lock = self._locked()
        try:
            if "manifest" in vars(self) and self._stamp != self._stamped():
                raise MachineError(
                    f"another process has changed {self.path} since this one read it",
                    hint="repeat the command",
                )
            owner = self.path / "run.pid"
            with readable_faults(owner):
                owner.unlink(missing_ok=True)  # it may be a link
                owner.write_text(f"process {os.getpid()} on {os.uname().nodename}")
                for depth in (".*", "*/.*", "*/*/.*"):  # left by a killed process
                    for found in filter(is_scratch, self.path.glob(depth)):
                        found.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def refuse_second_writer(self) -> None:
        """Raise MachineError early, before any data is read, if another process writes here."""
        if (self.path / "run.lock").exists():
            with readable_faults(self.path):
                self._locked().release()

    def _stamped(self) -> int:
        """A number that changes when the manifest is replaced."""
        try:
            found = os.stat(self.path / "manifest.json")
        except OSError:
            return 0
        return hash((found.st_ino, found.st_mtime_ns))

    def _locked(self) -> FileLock:
        _refuse_link(self.path / "run.lock")
        lock = FileLock(self.path / "run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            owner = "another process"
            with suppress(OSError):
                owner = (self.path / "run.pid").read_text(encoding="utf-8", errors="replace")
            raise MachineError(
                f"{self.path} is in use by {owner}",
                hint="wait for it, or choose another folder with --out",
            ) from None
        return lock


def opened(path: Path) -> Run:
    """Open an existing run.

    Raises:
        UsageError: there is no run in this folder.
        MachineError: its manifest is damaged.
    """
    run = Run(path)
    if run.manifest is None:
        raise UsageError(f"{path}: there is no run in this folder")
    return run


def _refuse_link(path: Path) -> None:
    """In someone else's run a link may point anywhere."""
    if path.is_symlink():
        raise MachineError(f"cannot write {path}: it is a link")
