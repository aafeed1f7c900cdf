"""Files are replaced whole, or not at all."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import MachineError
from lrbench.files import replace_file


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: Any, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "table.csv"
    replace_file(path, b"old")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(MachineError, match=r"cannot write .*table\.csv: no space left"):
        replace_file(path, b"new")
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


def test_content_is_on_the_disk_before_its_name_and_the_name_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill cannot show, a power cut can."""
    deeds = []
    sync, put = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        deeds.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.partition(".csv")[0])
        sync(descriptor)

    def replaced(*names: Path) -> None:
        deeds.append("replace")
        put(*names)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    replace_file(tmp_path / "table.csv", b"new")
    assert deeds == [".table", "replace", tmp_path.name]


def test_a_device_stays_one_and_a_link_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no space left"):
        replace_file(Path("/dev/full"), b"x")
    replace_file(Path("/dev/null"), b"x")
    assert all(Path(name).is_char_device() for name in ("/dev/full", "/dev/null"))
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("somebody's")
    link.symlink_to(target)
    replace_file(link, b"ours")
    assert target.read_text() == "somebody's" and link.read_text() == "ours"
    scratch = tmp_path / f".table.csv.{os.getpid()}.lrbench-tmp"  # where it is written first
    scratch.symlink_to(target)
    replace_file(tmp_path / "table.csv", b"ours")
    assert target.read_text() == "somebody's" and not scratch.is_symlink()
