"""Runs that are moved, copied, linked, oddly named, or pulled from under a command's feet."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from tests.reliability.tools import SMALL, environment, finish, start, timeless, unwarned, wait_for

ARGV = (*SMALL, "--lr", "0.1")
NAMES = ("-rf [red]\x1b[31m\n名前 =cmd()", "\udcff")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two seeds, and beside it one of three."""
    folder = tmp_path_factory.mktemp("elsewhere")
    assert run([*ARGV, "--out", str(folder / "two")]) == 0
    shutil.copytree(folder / "two", folder / "three")
    assert run([*ARGV, "--seeds", "3", "--out", str(folder / "three")]) == 0
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_wherever_and_under_whatever_name(
    tmp_path: Path, whole: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Copied to another place; and named as no shell, table or page expects."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole / "two", name)
    capsys.readouterr()
    assert run(["compare", f"--resume={name}", "--seeds", "3", "--quiet"]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert timeless(Path(name)) == timeless(whole / "three")
    assert json.loads(Path(name, "manifest.json").read_text())["command_line"].startswith("lrbench")
    assert os.listdir(tmp_path) == [name]


def test_a_run_behind_a_link_goes_on_where_it_lies(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole / "two", tmp_path / "far" / "away")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    assert run(["compare", "--resume", str(tmp_path / "link"), "--seeds", "3", "--quiet"]) == 0
    assert (tmp_path / "link").is_symlink()
    assert timeless(tmp_path / "far" / "away") == timeless(whole / "three")


def test_trials_deleted_while_they_are_trained_end_the_run_and_are_trained_again(
    tmp_path: Path,
) -> None:
    argv = (*ARGV, "--epochs", "300", "--seeds", "1", "--out", "run")
    process = start(*argv, cwd=tmp_path)
    wait_for(lambda: b'"epoch"' in b"".join(
        path.read_bytes() for path in tmp_path.glob("run/trials/*/journal.jsonl")
    ))  # fmt: skip
    (tmp_path / "run" / "trials").rename(tmp_path / "bin")
    code, _, said = finish(process)
    assert code == 3, said
    (line,) = unwarned(said)
    assert "journal.jsonl: no such file or directory" in line
    assert run(["report", str(tmp_path / "run")]) == 0
    assert list(tmp_path.glob("run/trials/*/journal.jsonl")) == []


def test_a_deleted_trial_is_trained_again(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole / "two", tmp_path / "run")
    for trial in list((tmp_path / "run" / "trials").iterdir())[::2]:
        shutil.rmtree(trial)
    assert run([*ARGV, "--out", str(tmp_path / "run")]) == 0
    assert timeless(tmp_path / "run") == timeless(whole / "two")
    shutil.rmtree(tmp_path / "run" / "trials")
    assert run(["compare", "--resume", str(tmp_path / "run"), "--quiet"]) == 0
    assert timeless(tmp_path / "run") == timeless(whole / "two")


@pytest.fixture
def archive(tmp_path: Path, whole: Path) -> Iterator[Path]:
    """A run on a file system that is read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a disk here: {mounted.stderr.strip()}")
    shutil.copytree(whole / "two", folder / "run")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder / "run"
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_run_is_told_and_goes_on_nowhere(archive: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert run(["report", str(archive), "--json"]) == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["ranking"]
    assert said.err == f"lrbench: error: cannot write {archive}: read-only file system\n"
    assert run(["compare", "--resume", str(archive), "--seeds", "3", "--quiet"]) == 3
    assert "read-only file system" in capsys.readouterr().err


@pytest.mark.long
def test_an_answer_that_cannot_be_printed_is_one_line(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole / "two", tmp_path / "run")
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "lrbench", "report", "run"], cwd=tmp_path, text=True,
            stdout=full, stderr=subprocess.PIPE, env=environment(), check=False,
        )  # fmt: skip
    assert found.returncode == 3
    *_, line = found.stderr.splitlines()
    assert line == "lrbench: error: cannot write: no space left on device"
    assert "Traceback" not in found.stderr


@pytest.mark.long
def test_without_shared_memory_and_with_a_home_that_cannot_be_written(
    tmp_path: Path, whole: Path
) -> None:
    """As in a container made to be small."""
    bare = environment(HOME="/proc/nobody", XDG_CACHE_HOME="/proc/nobody/cache")
    bare.pop("MPLCONFIGDIR", None)
    argv = [*ARGV, "-j", "2", "--out", "run"]
    hidden = ["unshare", "--mount", "sh", "-c", 'umount /dev/shm && exec "$@"', "-"]
    if subprocess.run([*hidden, "true"], capture_output=True, check=False).returncode:
        hidden = []  # a machine that lets nobody do that still has the rest
    found = subprocess.run(
        [*hidden, sys.executable, "-m", "lrbench", *argv], cwd=tmp_path, env=bare, text=True,
        capture_output=True, check=False, timeout=200,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert timeless(tmp_path / "run") == timeless(whole / "two")
