"""How many trials at once: the rule on made rates, the probe on a real step, what a run keeps."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.engine import at_once
from lrbench.engine.at_once import probed, worthwhile
from lrbench.errors import UsageError
from lrbench.execute import Host, Workbench
from lrbench.experiment import Recipe
from lrbench.options import host_of
from lrbench.run.conditions import carried_on
from lrbench.run.store import Run
from lrbench.session.compare import settled
from lrbench.tasks.images import ImageTask
from tests.data.makers import image_data
from tests.run.made import manifest

CPU = torch.device("cpu")
RECIPE = Recipe(dataset="synthetic", model="mlp", batch_size=64)


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ([100, 101], 1),  # no gain
        ([100, 114], 1),  # less than noise makes
        ([100, 116, 120], 2),
        ([100, 200, 400, 800, 1600], 16),  # nobody asks for 32
        ([100, 200, 0], 2),  # four do not fit
        ([0], 1),  # nothing can be captured: the program will say why
    ],
)
def test_each_doubling_must_gain_more_than_noise(rates: list[float], found: int) -> None:
    asked: list[int] = []

    def rate(copies: int) -> float:
        asked.append(copies)
        return rates[len(asked) - 1]

    assert worthwhile(rate) == found
    assert asked == [2**i for i in range(len(rates))]


def test_the_probe_counts_the_steps_of_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places for nothing would gain all; places that take turns gain nothing."""
    task = ImageTask(image_data(100), Recipe(batch_size=16), CPU, with_test=False)
    monkeypatch.setattr(at_once, "SPAN_S", 0.01)
    assert probed(task, Recipe(batch_size=16), CPU) in (1, 2, 4, 8, 16)  # real steps, real noise
    monkeypatch.setattr(at_once, "_seconds", lambda program: 0.01)
    assert probed(task, Recipe(batch_size=16), CPU) == 16
    monkeypatch.setattr(at_once, "_seconds", lambda program: 0.01 * len(program.places))
    assert probed(task, Recipe(batch_size=16), CPU) == 1


def test_what_cannot_be_captured_counts_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = at_once.Program

    def short(task: Any, recipe: Recipe, copies: int) -> Any:
        if copies > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(task, recipe, copies)

    task = ImageTask(image_data(100), Recipe(batch_size=16), CPU, with_test=False)
    monkeypatch.setattr(at_once, "Program", short)
    monkeypatch.setattr(at_once, "_seconds", lambda program: 0.01)
    assert probed(task, Recipe(batch_size=16), CPU) == 2


def test_only_graph_in_one_process_asks_the_probe() -> None:
    assert host_of({"graph": True}).at_once is None
    assert host_of({"graph": True, "at_once": 3}).at_once == 3
    assert host_of({"graph": True, "jobs": 2}).at_once == 1
    assert host_of({}).at_once == 1


def test_a_cuda_device_is_probed_once_for_all_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Recipe] = []
    monkeypatch.setattr(at_once, "probed", lambda task, recipe, device: asked.append(recipe) or 4)
    host = Host(device="cpu", threads=1, graph=True, at_once=None)
    assert Workbench(RECIPE, host).at_once == 1 and not asked
    bench = Workbench(RECIPE, host)
    assert bench.tuning_task  # on the CPU, before the device is said to be another
    vars(bench)["device"] = torch.device("cuda")
    assert bench.at_once == 4
    assert bench.at(RECIPE.model_copy(update={"model": "lenet"})).at_once == 4
    assert asked == [RECIPE]
    own = Workbench(RECIPE.model_copy(update={"optimizer": "rmsprop"}), host)
    assert own.tuning_task
    vars(own)["device"] = torch.device("cuda")
    assert own.at_once == 1 and asked == [RECIPE]


def test_a_run_keeps_what_the_probe_said_when_it_was_begun(tmp_path: Path) -> None:
    run = Run(tmp_path)
    asking = Host(graph=True, at_once=None)
    assert settled(asking, run) == asking
    run.write_manifest(manifest(machine={"graph": True, "at_once": 8}))
    assert settled(asking, run).at_once == 8
    assert settled(Host(graph=True, at_once=2), run).at_once == 2
    with pytest.raises(UsageError, match="at_once 8 -> 2"):
        carried_on(run.manifest or {}, {"graph": True, "at_once": 2}, force=False)


def test_a_run_with_graph_says_how_many_and_goes_on_with_them(tmp_path: Path) -> None:
    command = [
        "lrbench", "compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "1", "-s",
        "constant", "--lr", "0.05", "--device", "cpu", "--threads", "1", "--graph", "--quiet",
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    for seeds in ("2", "3"):
        subprocess.run([*command, "--seeds", seeds], check=True, capture_output=True)
    manifest = Run(tmp_path / "run").manifest
    assert manifest is not None and manifest["machine"]["at_once"] == 1
    assert len(Run(tmp_path / "run").histories) == 3
