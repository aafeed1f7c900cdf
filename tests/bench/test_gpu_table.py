"""The script that makes a GPU's table, dry-run on a CPU: the same code, small, and no verdict."""

from __future__ import annotations

import importlib.util
import sys
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
    assert len(rows) == 10
    speeds = [row for row in rows if "s (1 trained and scaled) (made-up images)" in row]
    assert len(speeds) == 6 and sum(", --graph" in row for row in speeds) == 3
    assert all(row.endswith("dry run") for row in speeds)
    rest = [row for row in rows if row not in speeds]
    assert all(row.endswith("NOT MEASURED") for row in rest)
    assert sum("needs a CUDA device" in row for row in rest) == 2
    assert sum("needs cifar10-jpeg" in row for row in rest) == 2


def test_bars_are_those_of_the_goals(script: ModuleType) -> None:
    lenet, fastnet, resnet18 = script.grids()
    assert [(g.trials, g.epochs, g.most_s) for g in (lenet, fastnet, resnet18)] == [
        (120, 5, 60), (120, 10, 360), (12, 20, 300),
    ]  # fmt: skip
    assert lenet.recipe == Recipe(dataset="mnist") and lenet.recipe.batch_size == 128
    assert resnet18.recipe.precision == "bf16"
    found = script.Timed(10.0, 0.5, 1e6, 3e9, (0.92, 0.93))
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
