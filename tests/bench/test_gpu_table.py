"""The script that makes a GPU's table, dry-run on a CPU: the same code, small, and no verdict."""

from __future__ import annotations

import importlib.util
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lrbench.experiment import Recipe
from tests.bench.test_run import made

SCRIPT = Path(__file__).parents[2] / "results" / "bench-h200" / "measure.py"


@pytest.fixture
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("gpu_table", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_table"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gpu_table"]


@pytest.fixture
def quick(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    grids = script.grids()
    found = [
        replace(grid, recipe=grid.recipe.model_copy(update={"model": "mlp"})) for grid in grids
    ]
    monkeypatch.setattr(script, "grids", lambda: tuple(found))
    monkeypatch.setattr(script, "probed", lambda task, recipe, device: 2)
    return script


def test_a_dry_run_trains_every_grid_and_ends_in_a_table_without_verdicts(
    quick: ModuleType, tmp_path: Path, capsys: Any
) -> None:
    code = quick.main(["--small", "--device", "cpu", "--only", "goals", "--out", str(tmp_path)])
    assert code == 1  # what was not measured is not met
    text = (tmp_path / "table.txt").read_text()
    assert capsys.readouterr().out.endswith(text)
    first, *rows = text.splitlines()[3:]
    assert "a trial alone and among 4" in first and first.endswith(" 0")
    assert len(rows) == 15
    speeds = [row for row in rows if "(made-up images)" in row]
    assert sum("s (1 trained and scaled) " in row for row in speeds) == 6
    assert sum("s (2 trained and scaled, 2 at once) " in row for row in speeds) == 3
    assert len(speeds) == 9 and sum(", --graph" in row for row in speeds) == 6
    assert all(row.endswith("dry run") for row in speeds)
    rest = [row for row in rows if row not in speeds]
    assert all(row.endswith("NOT MEASURED") for row in rest)
    assert sum("needs a CUDA device" in row for row in rest) == 3
    assert sum("needs cifar10-jpeg" in row for row in rest) == 3


def test_bars_are_those_of_the_goals(script: ModuleType) -> None:
    lenet, fastnet, resnet18 = script.grids()
    assert [(g.trials, g.epochs, g.most_s) for g in (lenet, fastnet, resnet18)] == [
        (120, 5, 60), (120, 10, 360), (12, 20, 300),
    ]  # fmt: skip
    assert lenet.recipe == Recipe(dataset="mnist") and lenet.recipe.batch_size == 128
    assert resnet18.recipe.precision == "bf16"
    found = script.Timed(10.0, 0.5, 1e6, 3e9, (0.92, 0.93), 2, 1)
    assert found.whole_s(120) == 70
    line = script.accuracy(found, made_up=False)
    assert line.verdict == "NOT MET" and line.found.startswith("92.50 %")
    better = replace(found, accuracies=(0.931,))
    assert script.accuracy(better, made_up=False).verdict == "met"
    assert script.accuracy(better, made_up=True).verdict == script.NOT_MEASURED


def test_flops_of_an_image_are_counted(script: ModuleType) -> None:
    data, made_up = script.images("mnist", small=True)
    recipe = Recipe(model="mlp", batch_size=8)
    task = script.ImageTask(data, recipe, script.torch.device("cpu"), with_test=False)
    forward = 2 * (784 * 256 + 256 * 128 + 128 * 10)
    assert made_up
    # and twice that backward, but for the images' own gradient, which nobody needs
    assert script.flops_per_image(task) == 3 * forward - 2 * 784 * 256


def test_gains_stand_beside_what_was_expected(script: ModuleType) -> None:
    lines = {line.name: line for line in script.gains(made(1.1), "bench lenet")}
    assert lines["bench lenet: bf16"].bar == "1.5-3"
    assert lines["bench lenet: CUDA graph"].found == "needs a CUDA device"
    goal = lines["bench lenet: engine over the best reference loop"]
    assert (goal.found, goal.bar, goal.verdict) == ("3.0 x", ">= 10 x", "NOT MET")


def test_a_part_that_fails_is_a_line_of_the_table(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA error:\nno kernel image")

    monkeypatch.setattr(script, "probe", broken)
    monkeypatch.setattr(script, "grids", lambda: ())
    assert script.main(["--small", "--device", "cpu", "--only", "probe"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "RuntimeError: CUDA error: no kernel image" in last and last.endswith("NOT MEASURED")


def lines_then(script: ModuleType, fault: BaseException | None, *names: str) -> Any:
    def part(device: str, *, small: bool) -> Iterator[Any]:
        yield from (script.Line(name, "1 s") for name in names)
        if fault is not None:
            raise fault

    return part


def test_what_was_measured_before_an_interruption_or_in_another_run_stays_in_the_table(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(only: str) -> list[str]:
        script.main(["--small", "--device", "cpu", "--only", only, "--out", str(tmp_path)])
        rows = (tmp_path / "table.txt").read_text().splitlines()[3:]
        return [row.split()[0] for row in rows]

    monkeypatch.setattr(script, "goals", lines_then(script, None, "old", "older"))
    assert run("goals") == ["old", "older"]
    monkeypatch.setattr(script, "probe", lines_then(script, KeyboardInterrupt(), "first"))
    assert run("probe,lenet") == ["first", "probe", "old", "older"]
    monkeypatch.setattr(script, "goals", lines_then(script, None, "new"))
    assert run("goals") == ["first", "probe", "new"]
    monkeypatch.setattr(script.torch, "__version__", "2.11")  # figures of another machine
    assert run("goals") == ["new"]


def test_it_stops_when_its_time_is_up_whatever_it_is_at(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    def slow(*_: Any, **__: Any) -> Any:
        time.sleep(60)

    began = time.monotonic()
    monkeypatch.setattr(script, "timed", slow)
    monkeypatch.setattr(script, "beside", lambda *_, **__: script.Line("beside", "0"))
    before = signal.getsignal(signal.SIGTERM)
    try:
        code = script.main(["--small", "--device", "cpu", "--only", "goals", "--within", "1"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert time.monotonic() - began < 20 and code == 1
    first, last = capsys.readouterr().out.splitlines()[-2:]
    assert first.startswith("beside") and "its time was up" in last


def test_every_file_of_tests_runs_by_itself_and_may_take_too_long(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "tests").mkdir()
    for name, body in {
        "right": "assert True", "wrong": "assert 1 == 2", "endless": "import time; time.sleep(60)",
        "dies": "import os; os._exit(7)",
    }.items():  # fmt: skip
        text = f"import pytest\n@pytest.mark.cuda\ndef test_it():\n    {body}\n"
        (tmp_path / "tests" / f"test_{name}.py").write_text(text)
    (tmp_path / "tests" / "test_other.py").write_text("")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = cuda\n")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "TEST_S", 5.0)
    lines = {line.name.rpartition("test_")[2]: line for line in script.tests("cuda", small=False)}
    assert {name: line.verdict for name, line in lines.items()} == {
        "right.py": "met", "wrong.py": "NOT MET", "endless.py": "NOT MET", "dies.py": "NOT MET",
    }  # fmt: skip
    assert "1 failed" in lines["wrong.py"].found and "5 s" in lines["endless.py"].found
    assert "assert 1 == 2" in capsys.readouterr().out


def test_a_part_that_nobody_knows_is_refused(script: ModuleType, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        script.main(["--device", "cpu", "--only", "bench"])
    assert "no part bench" in capsys.readouterr().err
