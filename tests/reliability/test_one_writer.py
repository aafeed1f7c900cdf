"""Two commands on one run: the second is turned away at once; a killed one holds nothing."""

import signal
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.execute import Workbench
from lrbench.run.store import Run
from tests.reliability.tools import SMALL, finish, start, wait_for


def test_the_second_is_turned_away_before_it_reads_data_and_a_killed_first_holds_nothing(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    first = start(*SMALL, "--epochs", "3000", "--out", "run", cwd=tmp_path)
    wait_for(lambda: list(out.glob("trials/*/journal.jsonl")))

    def opened(*_: Any) -> None:
        raise AssertionError("it opened the data first")

    monkeypatch.setattr(Workbench, "open", opened)
    again = [*SMALL, "--epochs", "3000", "--out", str(out)]
    for argv in (again, ["compare", "--resume", str(out)], ["find", "--out", str(out)]):
        assert run(argv) == 3
        assert f"in use by process {first.pid} on " in capsys.readouterr().err
    first.send_signal(signal.SIGKILL)
    finish(first)
    with Run(out).writer():
        pass
