"""A disk that is full or closed: one line, exit 3, and the run goes on once it is not."""

import re
from pathlib import Path

import pytest

from lrbench.__main__ import run
from tests.reliability.tools import ONE_LR, command, remount, timeless, unwarned

LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


@pytest.mark.parametrize("most_bytes", [100, pytest.param(1_500, marks=pytest.mark.long)])
def test_a_file_that_cannot_grow_is_one_line_and_the_run_goes_on_later(
    tmp_path: Path, whole: Path, most_bytes: int
) -> None:
    """Before the manifest, and in the middle of the first journal or table."""
    code, _, said = command(*ONE_LR, "--out", "run", cwd=tmp_path, code=LIMIT.format(most_bytes))
    assert code == 3, said
    (line,) = unwarned(said)
    assert re.fullmatch(r"lrbench: error: cannot write run/\S+: file too large", line)
    assert run([*ONE_LR, "--out", str(tmp_path / "run")]) == 0
    assert timeless(tmp_path / "run") == timeless(whole)


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(disk: Path, whole: Path) -> None:
    argv = (*ONE_LR, "--out", str(disk / "run"))
    code, _, said = command(*argv, cwd=disk)
    assert code == 3, said
    (line,) = unwarned(said)
    assert re.search(rf"cannot write {disk}/run/\S+: no space left on device", line)
    remount(disk, "size=64m,nr_inodes=4000")
    assert run(list(argv)) == 0
    assert timeless(disk / "run") == timeless(whole)


@pytest.mark.parametrize("place", ["/proc/lrbench", "/dev/null/run", "file/run"])
def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, said = command(*ONE_LR, "--epochs", "3000", "--out", place, cwd=tmp_path)
    assert code == 3, said
    assert len(unwarned(said)) == 1 and "cannot" in said
