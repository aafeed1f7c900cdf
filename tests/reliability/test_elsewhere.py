"""Runs that are moved, copied, linked, oddly named, or pulled from under a command's feet; a disk
that is full or closed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from tests.cli.made import refused
from tests.reliability.tools import (
    ONE_LR,
    command,
    environment,
    epochs_in,
    finish,
    remount,
    start,
    timeless,
    unwarned,
    wait_for,
)

MORE = ("--seeds", "3", "--quiet")


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, whole: Path) -> Path:
    """The run with one seed more."""
    folder = tmp_path_factory.mktemp("grown") / "run"
    shutil.copytree(whole, folder)
    assert run([*ONE_LR, *MORE, "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    ("name", "away"), [("-rf [red]\x1b[31m\n名前 =cmd()", []), ("\udcff", []), ("link", ["far"])]
)
def test_a_run_goes_on_wherever_and_under_whatever_name(
    tmp_path: Path, whole: Path, grown: Path, name: str, away: list[str], monkeypatch: Any,
    capsys: Any,
) -> None:  # fmt: skip
    """Copied to another place, or behind a link; and named as no shell, table or page expects."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole, *(away or [name]))
    for place in away:
        Path(name).symlink_to(place)
    capsys.readouterr()
    assert run(["compare", f"--resume={name}", *MORE]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert timeless(Path(name)) == timeless(grown)
    assert json.loads(Path(name, "manifest.json").read_text())["command_line"].startswith("lrbench")
    assert sorted(os.listdir(tmp_path)) == [*away, name] and Path(name).is_symlink() == bool(away)


def test_trials_deleted_while_they_are_trained_end_the_run_and_are_trained_again(
    tmp_path: Path,
) -> None:
    process = start(*ONE_LR, "--epochs", "300", "--seeds", "1", "--out", "run", cwd=tmp_path)
    wait_for(lambda: epochs_in(tmp_path / "run"))
    (tmp_path / "run" / "trials").rename(tmp_path / "bin")
    code, _, said = finish(process)
    assert code == 3, said
    (line,) = unwarned(said)
    assert "journal.jsonl: no such file or directory" in line
    assert run(["report", str(tmp_path / "run")]) == 0
    assert not epochs_in(tmp_path / "run")  # another trial may just have begun its journal


def test_a_deleted_trial_is_trained_again(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    for trial in list((tmp_path / "run" / "trials").iterdir())[::2]:
        shutil.rmtree(trial)
    assert run([*ONE_LR, "--out", str(tmp_path / "run")]) == 0
    assert timeless(tmp_path / "run") == timeless(whole)
    shutil.rmtree(tmp_path / "run" / "trials")
    assert run(["compare", "--resume", str(tmp_path / "run"), "--quiet"]) == 0
    assert timeless(tmp_path / "run") == timeless(whole)


def test_a_read_only_run_is_told_and_goes_on_nowhere(disk: Path, whole: Path, capsys: Any) -> None:
    remount(disk, "size=64m,nr_inodes=4000")
    archive = shutil.copytree(whole, disk / "run")
    remount(disk, "ro")
    capsys.readouterr()
    assert run(["report", str(archive), "--json"]) == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["ranking"]
    assert said.err == f"lrbench: error: cannot write {archive}: read-only file system\n"
    argv = ["compare", "--resume", str(archive), *MORE]
    assert "read-only file system" in refused(argv, capsys, 3)


@pytest.mark.long
def test_an_answer_that_cannot_be_printed_is_one_line(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    full = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)"
    code, _, said = command("report", "run", cwd=tmp_path, code=full)
    assert code == 3 and "Traceback" not in said
    assert said.splitlines()[-1] == "lrbench: error: cannot write: no space left on device"


@pytest.mark.long
def test_without_shared_memory_and_with_a_home_that_cannot_be_written(
    tmp_path: Path, whole: Path
) -> None:
    """As in a container made to be small."""
    bare = environment(HOME="/proc/nobody", XDG_CACHE_HOME="/proc/nobody/cache")
    bare.pop("MPLCONFIGDIR", None)
    argv = [*ONE_LR, "-j", "2", "--out", "run"]
    hidden = ["unshare", "--mount", "sh", "-c", 'umount /dev/shm && exec "$@"', "-"]
    if subprocess.run([*hidden, "true"], capture_output=True, check=False).returncode:
        hidden = []  # a machine that lets nobody do that still has the rest
    found = subprocess.run(
        [*hidden, sys.executable, "-m", "lrbench", *argv], cwd=tmp_path, env=bare, text=True,
        capture_output=True, check=False, timeout=200,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert timeless(tmp_path / "run") == timeless(whole)


@pytest.mark.parametrize("most_bytes", [100, pytest.param(1_500, marks=pytest.mark.long)])
def test_a_file_that_cannot_grow_is_one_line_and_the_run_goes_on_later(
    tmp_path: Path, whole: Path, most_bytes: int
) -> None:
    """Before the manifest, and in the middle of the first journal or table."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, {(most_bytes,) * 2})"
    code, _, said = command(*ONE_LR, "--out", "run", cwd=tmp_path, code=limit)
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
