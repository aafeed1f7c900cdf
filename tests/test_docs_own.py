"""docs/own.md says nothing that does not work."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from lrbench.__main__ import run

TEXT = (Path(__file__).parents[1] / "docs" / "own.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
FILES = {
    text.splitlines()[0].removeprefix("# file: "): text
    for text in PYTHON
    if text.startswith("# file: ")
}
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line]
OFFLINE = [line for line in COMMANDS if "cifar10" not in line]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_there_is_something_to_test() -> None:
    assert set(FILES) == {"my_nets.py", "my_data.py", "my_task.py"}
    assert len(OFFLINE) >= 8
    assert len(COMMANDS) == len(OFFLINE) + 1


@pytest.mark.parametrize("line", OFFLINE)
def test_every_command_opens_all_that_it_names(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *argv = shlex.split(line)
    assert program == "lrbench"
    dry = ["--dry-run", "--device", "cpu"] if argv[0] in ("find", "compare") else []
    assert run([*argv, *dry]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("text", [text for text in PYTHON if text.startswith("# run")])
def test_what_is_said_to_run_runs(text: str, folder: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(text, "own.md", "exec"), names)
    if "scheduler" in names:
        optimizer = names["optimizer"]
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-3)  # type: ignore[attr-defined]
    else:
        assert (folder / "lr.png").stat().st_size > 1000
        assert "cosine" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [text for text in PYTHON if text.startswith("# compile")])
def test_what_needs_other_packages_compiles(text: str) -> None:
    compile(text, "own.md", "exec")
