"""Atomic file writes, and one-line errors for files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lrbench.errors import MachineError

SCRATCH = ".lrbench-tmp"
DEVICES = (Path("/dev"), Path("/dev/fd"))


def replace_file(path: Path, content: bytes) -> Path:
    """Replace a file atomically: a reader, or a restart after a crash, finds the old or the new
    file. It is on disk when this returns. Devices are written to directly; links are replaced,
    because in someone else's run they may point anywhere.

    Raises:
        MachineError: the file cannot be written; the message names it.
    """
    with readable_faults(path):
        if path.is_char_device() or path.parent in DEVICES:
            path.write_bytes(content)
            return path
        scratch = path.with_name(f".{path.name}.{os.getpid()}{SCRATCH}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            scratch.unlink(missing_ok=True)
            with open(scratch, "xb") as file:  # "x" follows no link
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
    sync_folder(path.parent)
    return path


def read_file(path: Path, option: str = "") -> bytes:
    """
    Raises:
        MachineError: the file cannot be read, or is a pipe, which may never end. Pipes made by a
            shell, under /dev/fd, are read.
    """
    with readable_faults(path, "read", option):
        if "\0" in str(path):
            raise OSError("a path cannot contain a zero byte")
        if path.exists() and not (path.is_file() or path.is_dir() or path.parent in DEVICES):
            raise OSError("not a regular file")
        return path.read_bytes()


def read_if_any(path: Path) -> bytes | None:
    """Like `read_file`; None if there is no such file."""
    try:
        return read_file(path)
    except MachineError as fault:
        if isinstance(fault.__cause__, FileNotFoundError):
            return None
        raise


def sync_folder(folder: Path) -> None:
    """Write the folder itself to disk, so that a new file survives a power cut."""
    with suppress(OSError):  # some file systems cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_scratch(path: Path) -> bool:
    """True for a temporary file that `replace_file` has not put in place.

    >>> is_scratch(Path("run/.trials.csv.4711.lrbench-tmp")), is_scratch(Path("run/trials.csv"))
    (True, False)
    """
    return path.name.startswith(".") and path.name.endswith(SCRATCH)


@contextmanager
def readable_faults(path: Path, action: str = "write", option: str = "") -> Iterator[None]:
    """Turn errors of the operating system into one line that names the path and its option."""
    try:
        yield
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        what = f"{option} {path}" if option else f"cannot {action} {path}"
        raise MachineError(f"{what}: {reason}") from fault
