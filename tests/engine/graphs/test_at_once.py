"""How many trials at once: the rule on made rates, the probe on a real step, what a run keeps."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.engine.graphs import program as programs
from lrbench.engine.graphs.program import probed, worthwhile
from lrbench.errors import UsageError
from lrbench.execute import Host
from lrbench.inputs import host_of
from lrbench.options import CompareSpec, Recipe
from lrbench.run.conditions import carried_on
from lrbench.run.store import Run
from lrbench.session.compare import settled
from tests.engine.tools import CPU, images
from tests.run.made import manifest


@pytest.mark.parametrize(
    ("rates", "found"),
    [
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


@pytest.mark.parametrize(
    ("most", "seconds", "found"),
    [
        (16, lambda program: 0.01, 16),  # slots for nothing gain everything
        (16, lambda program: 0.01 * len(program.slots), 1),  # slots in turn gain nothing
        (2, lambda program: 0.01, 2),  # memory for two
    ],
)
def test_the_probe_counts_the_steps_of_all_slots(
    most: int, seconds: Any, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = programs.Program

    def program(task: Any, recipe: Recipe, copies: int) -> Any:
        if copies > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(task, recipe, copies)

    recipe = Recipe(model="mlp", batch_size=16)
    monkeypatch.setattr(programs, "Program", program)
    monkeypatch.setattr(programs, "replay_s", seconds)
    assert probed(images(recipe), recipe, CPU) == found


def test_only_graph_in_one_process_asks_the_probe() -> None:
    rows = (({"graph": True}, None), ({"graph": True, "jobs": 2}, 1), ({}, 1))
    assert all(host_of(options).at_once == at_once for options, at_once in rows)
    assert host_of({"graph": True, "at_once": 3}).at_once == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_once": 2}, r"--at-once.*--graph"),
        ({"at_once": 0, "graph": True}, "--at-once 0"),
        ({"at_once": 2, "graph": True, "jobs": 2}, "--at-once is for one process"),
    ],
)
def test_at_once_needs_graph_and_one_process(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        host_of(options)


def test_a_run_keeps_what_the_probe_said_when_it_was_begun(tmp_path: Path) -> None:
    run, spec = Run(tmp_path), CompareSpec()
    asking, two = (Host(executor="serial", graph=True, at_once=n) for n in (None, 2))
    assert settled(asking, run, spec) == asking
    run.write_manifest(manifest(machine={"graph": True, "at_once": 8}))
    assert [settled(host, run, spec).at_once for host in (asking, two)] == [8, 2]
    with pytest.raises(UsageError, match="at_once 8 -> 2"):
        carried_on(run.manifest or {}, {"graph": True, "at_once": 2}, force=False)
