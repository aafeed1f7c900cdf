"""A run, a file or a folder from somebody else: nothing outside is written, no code is run, and
what is odd about it earns one line."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.report import renderers
from tests.cli.made import refused
from tests.reliability.tools import ONE_LR, command, environment, plugin

OWN = """
print("imported")
from pathlib import Path
Path("imported").touch()

def mine(step, steps):
    Path("called").touch()
    return 2.0

def net(image_shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))
"""
ARGV = (*ONE_LR, "-s", "theirs:mine", "-s", "theirs:mine * cosine", "--model", "theirs:net")
EVERYTHING = renderers.write_all


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that names code of its own."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "theirs.py").write_text(OWN)
    code, out, said = command(*ARGV, "--out", "run", cwd=folder)
    assert code == 0 and "imported" not in out + said, said
    return folder


@pytest.fixture
def theirs(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_pictures: None
) -> Path:
    shutil.copytree(made / "run", tmp_path / "run")
    shutil.copy(made / "theirs.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    return Path("run")


def test_showing_a_run_runs_no_code_that_it_names_and_a_resume_says_which(
    theirs: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderers, "write_all", EVERYTHING)  # plots ask schedules for their LRs
    marks = Path("imported"), Path("called")
    show = "compare --config run/manifest.json --print-config"
    for line in ("report run", "report run run", "compare --resume run --dry-run", show):
        assert run(line.split()) == 0 and capsys.readouterr().out
        assert not any(mark.exists() for mark in marks), line
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    assert run(["compare", "--resume", "run", "--quiet"]) == 0
    assert "named by a file: theirs:mine, theirs:net" in capsys.readouterr().err
    assert all(mark.exists() for mark in marks)


@pytest.mark.parametrize("name", ["plots", "tensorboard", "trials", "trials/{}"])
def test_links_inside_a_run_are_refused(theirs: Path, capsys: Any, name: str) -> None:
    link = theirs / name.format(next((theirs / "trials").iterdir()).name)
    Path("victim").mkdir()
    if link.exists():
        shutil.rmtree("victim")
        link.rename("victim")
    before = sorted(Path("victim").rglob("*"))
    link.symlink_to(Path("victim").absolute())
    assert f"{link}: it is a link" in refused(["report", "run"], capsys, 3)
    assert sorted(Path("victim").rglob("*")) == before


@pytest.mark.parametrize("name", ["run.pid", "trials.csv"])
def test_linked_files_are_replaced(theirs: Path, name: str) -> None:
    Path("victim").write_text("mine")
    (theirs / name).unlink()
    (theirs / name).symlink_to(Path("victim").absolute())
    assert run(["report", "run"]) == 0
    assert Path("victim").read_text() == "mine" and not (theirs / name).is_symlink()


@pytest.mark.parametrize("name", ["manifest.json", "journal.jsonl"])
def test_a_pipe_in_place_of_a_file_is_refused(theirs: Path, capsys: Any, name: str) -> None:
    path = next(theirs.rglob(name))
    path.unlink()
    os.mkfifo(path)
    assert f"{path}: not a regular file" in refused(["report", "run"], capsys, 3)
    for option in ("--config", "--init-from"):
        assert "not a regular file" in refused(["compare", option, str(path)], capsys, 3)


@pytest.mark.parametrize(
    "change", [lambda old: b"\xef\xbb\xbf" + old, lambda old: old.replace(b"\n", b"\r\n")]
)
def test_a_converted_journal_is_to_be_converted_back(
    theirs: Path, capsys: Any, change: Callable[[bytes], bytes]
) -> None:
    path = next(theirs.rglob("journal.jsonl"))
    path.write_bytes(change(path.read_bytes()))
    line = refused(["report", "run"], capsys, 3)
    assert "convert it back" in line and "delete" not in line


def test_an_export_cannot_destroy_a_run(theirs: Path, capsys: Any) -> None:
    before = (theirs / "manifest.json").read_bytes()
    argv = ["report", "run", "--export-json", str(theirs / "manifest.json")]
    assert "--export-json" in refused(argv, capsys)
    assert (theirs / "manifest.json").read_bytes() == before


def test_an_odd_toml_file_is_one_line(tmp_path: Path, capsys: Any) -> None:
    config = tmp_path / "run.toml"
    for text in ("lr = " + "[" * 5000, "seeds = " + "9" * 5000, 'epochs = "1_0"', 'lr = "０.１"',
                 "lr = nan"):  # fmt: skip
        config.write_text(text)
        assert len(refused(["compare", "--config", str(config), "--print-config"], capsys)) < 500


def test_a_number_has_the_digits_0_to_9(capsys: Any) -> None:
    for option in ("lr=０.１", "seeds=1_0", "batch-size=１", "time-budget=１m", "opt=eps=１"):
        argv = ["compare", f"--{option}", "--print-config"]
        assert "the digits 0 to 9" in refused(argv, capsys)


def test_closed_streams_and_a_plugin_that_prints_harm_no_data(made: Path, tmp_path: Path) -> None:
    env = environment(plugin(tmp_path / "plugins", "loud", "print('loud')", "lrbench.datasets"))
    code, out, said = command("data", "check", "mnist5k", cwd=tmp_path, env=env)
    assert code == 0 and "loud" not in out + said
    shutil.copytree(made / "run", tmp_path / "run")
    close = "import os\n[os.close(each) for each in (0, 1, 2)]"
    argv = [sys.executable, "-m", "lrbench", "report", "run"]
    again = f"{close}\nos.execv({sys.executable!r}, {argv})"
    code, _, _ = command(cwd=tmp_path, code=again)
    assert code == 0 and run(["report", str(tmp_path / "run")]) == 0
