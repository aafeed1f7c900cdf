"""A disk that is full or closed: one line, exit 3, and the run goes on once it is not."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrbench.__main__ import run
from tests.reliability.tools import SMALL, command, timeless, unwarned

ARGV = (*SMALL, "--lr", "0.1")
LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disk") / "whole"
    assert run([*ARGV, "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("most_bytes", [100, pytest.param(1_500, marks=pytest.mark.long)])
def test_a_file_that_cannot_grow_is_one_line_and_the_run_goes_on_later(
    tmp_path: Path, whole: Path, most_bytes: int
) -> None:
    """Before the manifest, and in the middle of the first journal or table."""
    code, _, said = command(*ARGV, "--out", "run", cwd=tmp_path, code=LIMIT.format(most_bytes))
    assert code == 3, said
    (line,) = unwarned(said)
    assert re.fullmatch(r"lrbench: error: cannot write run/\S+: file too large", line)
    assert run([*ARGV, "--out", str(tmp_path / "run")]) == 0
    assert timeless(tmp_path / "run") == timeless(whole)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=40", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(small_disk: Path, whole: Path) -> None:
    argv = (*ARGV, "--out", str(small_disk / "run"))
    code, _, said = command(*argv, cwd=small_disk)
    assert code == 3, said
    (line,) = unwarned(said)
    assert re.search(rf"cannot write {small_disk}/run/\S+: no space left on device", line)
    subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=4000", str(small_disk)], check=True)
    assert run(list(argv)) == 0
    assert timeless(small_disk / "run") == timeless(whole)


@pytest.mark.parametrize("place", ["/proc/lrbench", "/dev/null/run", "file/run"])
def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, said = command(*ARGV, "--epochs", "3000", "--out", place, cwd=tmp_path)
    assert code == 3, said
    assert len(unwarned(said)) == 1 and "cannot" in said
