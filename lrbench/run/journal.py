"""One append-only file per trial: JSON lines, each with a checksum that covers all lines before it.

A line that was changed, deleted, duplicated or moved is detected. Only a torn last line is dropped:
it was never acknowledged, since records are reported only once they are on disk.
"""

import codecs
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from lrbench.errors import MachineError
from lrbench.files import read_if_any
from lrbench.options import TrialSpec
from lrbench.records import CutRecord, EpochRecord, History, Record, StepRecord, TrialEnd, extended

KINDS: Mapping[str, type[Record]] = {
    "epoch": EpochRecord, "step": StepRecord, "cut": CutRecord, "end": TrialEnd,
}  # fmt: skip
_NAMES = {kind: name for name, kind in KINDS.items()}
RETRAIN = "delete that file to train its trial again"
Row = Mapping[str, Any]


class Mark(NamedTuple):
    """The end of a line: its position in bytes, and the checksum that the next line continues."""

    size: int = 0
    checksum: int = 0


def read(path: Path) -> list[tuple[Row, Mark]]:
    """The rows of a journal, each with its end; empty if there is no file.

    Raises:
        MachineError: it cannot be read, or is damaged before its last line.
    """
    content = read_if_any(path) or b""
    if content.startswith(codecs.BOM_UTF8) or b"\r\n" in content:
        raise MachineError(
            f"{path} was converted: it has a byte order mark, or Windows line endings",
            hint="convert it back, for example with dos2unix",
        )
    *lines, tail = content.split(b"\n")
    found: list[tuple[Row, Mark]] = []
    mark = Mark()
    for number, line in enumerate(lines, 1):
        row, checksum = _decoded(line, mark.checksum)
        if row is None:
            if number == len(lines) and not tail:
                break
            raise damaged(path, f"line {number} does not match its checksum")
        mark = Mark(mark.size + len(line) + 1, checksum)
        found.append((row, mark))
    return found


def write(path: Path, rows: Iterable[Row], after: Mark | None = None) -> Mark:
    """Add rows after a mark, dropping what follows it; without a mark, start a new file. The rows
    are on disk when this returns.

    Raises:
        OSError: the disk is full, the path is a link, or the file to add to is gone.
    """
    mark = after or Mark()
    data, checksum = bytearray(), mark.checksum
    for row in rows:
        line, checksum = _encoded(row, checksum)
        data += line
    end = Mark(mark.size + len(data), checksum)
    flags = os.O_WRONLY | os.O_NOFOLLOW | (os.O_CREAT if after is None else 0)
    descriptor = os.open(path, flags, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size < mark.size:
            raise damaged(path, "it was shortened while it was in use")
        if size > mark.size:
            os.ftruncate(descriptor, mark.size)
        os.lseek(descriptor, mark.size, os.SEEK_SET)
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return end


def history_of(path: Path, rows: Iterable[Row]) -> History:
    """The history in a trial's journal, checked against the schema and for consistency.

    Raises:
        MachineError: a row is of another trial, of the wrong types, or out of order.
    """
    first, *rest = rows
    try:
        if first["kind"] != "trial":
            raise ValueError("the line that names its trial is missing")
        spec = TrialSpec.model_validate(first["spec"])
        records = [record_of(row) for row in rest]
    except (KeyError, TypeError, ValueError) as fault:
        raise MachineError(
            f"{path} holds a record that this lrbench cannot read ({fault.__class__.__name__})",
            hint=RETRAIN,
        ) from None
    epochs = [each.epoch for each in records if isinstance(each, EpochRecord)]
    ends = [each for each in records if isinstance(each, TrialEnd)]
    names = {spec.id, *(each.trial for each in records)}
    for is_wrong, what in (
        (names != {path.parent.name}, "it holds records of another trial"),
        (epochs != [*range(1, len(epochs) + 1)], "its epochs do not follow one another"),
        (any(end is not records[-1] for end in ends), "it continues after the end of its trial"),
        (any(end.epochs != len(epochs) for end in ends), "its end does not match its epoch count"),
    ):
        if is_wrong:
            raise damaged(path, what)
    return extended(History(spec), records)


def row_of(record: Record) -> dict[str, Any]:
    """A record as plain JSON values."""
    return {"kind": _NAMES[type(record)], **asdict(record)}


def record_of(row: Row) -> Record:
    """The record that a row was made from.

    Raises:
        KeyError, TypeError, ValueError: the row is not a record.
    """
    content = dict(row)
    record: Record = _reader(content.pop("kind")).validate_python(content)
    return record


@cache
def _reader(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[kind])


def damaged(path: Path, what: str) -> MachineError:
    return MachineError(f"{path} is damaged: {what}", hint=RETRAIN)


def _encoded(row: Row, before: int) -> tuple[bytes, int]:
    """One line whose last field is the CRC-32 of all lines up to it, and that checksum."""
    text = json.dumps(row, separators=(",", ":"), allow_nan=False)
    checksum = zlib.crc32(text.encode(), before)
    return f'{text[:-1]},"crc":"{checksum:08x}"}}\n'.encode(), checksum


def _decoded(line: bytes, before: int) -> tuple[Row | None, int]:
    """The row of a line and its checksum; None if the two do not match."""
    body, _, tail = line.rpartition(b',"crc":"')
    text = body + b"}"
    checksum = zlib.crc32(text, before)
    if tail != f'{checksum:08x}"}}'.encode():
        return None, before
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):  # the checksum can be forged
        return None, before
    return (row, checksum) if isinstance(row, dict) else (None, before)
