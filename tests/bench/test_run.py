"""A whole benchmark of two loops in processes of their own, and faults that one line tells."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from lrbench.bench.figures import Ratio, Round, ratio
from lrbench.bench.measure import Entrant, interleaved
from lrbench.bench.plan import Contender, Workload, loops, switches
from lrbench.bench.result import Line, Result
from lrbench.bench.run import run
from lrbench.bench.worker import engine, slim
from lrbench.engine import compiling
from lrbench.errors import MachineError
from lrbench.experiment import Recipe
from lrbench.report.bench_console import bench_tables
from lrbench.report.bench_files import write_bench

# two for each weight and pass of three, but for the images' own gradient, which nobody needs
MLP_FLOPS = 2 * 3 * (784 * 256 + 256 * 128 + 128 * 10) - 2 * 784 * 256
WORK = Workload(Recipe(dataset="synthetic", model="mlp", batch_size=64), "cpu", 1, 256)


def test_loops_and_switches_that_are_named_in_the_table() -> None:
    names = [c.name for c in loops(WORK, quick=False)]
    assert names[:4] == [f"reference, {n} workers" for n in (0, 2, 4, 8)]
    assert names[-2:] == ["steps alone", "engine"]
    found = {c.name: c.why_not for c in switches(WORK, quick=True)}
    assert found["compiled"] == "left out by --quick"
    assert found["CUDA graph"] == "needs a CUDA device"
    assert found["4 trials in a graph"] == "needs a CUDA device"
    assert "needs --threads 2" in found["2 trials at once"]
    assert not found["bf16"] and not found["channels_last off"]


def test_without_a_compiler_a_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    found = {c.name: c.why_not for c in switches(WORK, quick=False)}
    assert found["compiled"] == "needs a C++ compiler"


def test_a_graph_of_several_places_counts_the_images_of_all_of_them() -> None:
    """As a GPU's rows run it; on a CPU the steps are called."""
    data, device = slim(WORK), torch.device("cpu")
    plain, *several = (
        engine(WORK.recipe, data, device, Contender("", "engine", 1, graph=places))(2)
        for places in (0, 1, 3)
    )
    assert several == [plain, 3 * plain] and plain > 0


def test_a_benchmark_from_processes_to_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Contender("engine", "engine", 1)
    alone = Contender("steps alone", "alone", 1)
    kinds = [Contender("reference, 0 workers", "reference", 1), alone, plain]
    odd = [
        Contender("broken", "engine", 1, precision="tf32", against="engine"),
        Contender("never", "engine", 1, against="engine", why_not="not today"),
    ]
    monkeypatch.setattr("lrbench.bench.run.loops", lambda work, quick: kinds)
    monkeypatch.setattr("lrbench.bench.run.switches", lambda work, quick: odd)
    monkeypatch.setattr("lrbench.bench.run.in_process", lambda name, work, *args: work(*args))
    said: list[str] = []
    result = run(WORK, rounds=2, quick=True, say=said.append)
    assert [line.name for line in result.lines] == [
        "reference, 0 workers", "steps alone", "engine", "broken", "never",
    ]  # fmt: skip
    reference, bare, engine, broken, never = result.lines
    assert "tf32 needs a CUDA device" in broken.why_not and never.why_not == "not today"
    assert result.best_reference is reference
    for line in (reference, engine):
        assert len(line.rounds) == 2
        assert line.rounds[0].images == line.rounds[1].images > 0
        assert line.first_epoch_s and line.first_epoch_s > 0
    trained = [{r.images for r in line.rounds} for line in (reference, bare, engine)]
    assert trained[0] == trained[1] == trained[2]
    assert result.ceiling == ratio(bare.rounds, reference.rounds)
    assert "Steps without any loading are " in " ".join(shown(result).split())
    assert reference.ratio is not None
    assert reference.ratio.low == min(
        e.images_s / r.images_s for e, r in zip(engine.rounds, reference.rounds, strict=True)
    )
    assert any(line.startswith("round 2 of 2, engine: ") for line in said)
    json.dumps(result.to_dict(), allow_nan=False)
    assert result.compute["flops_per_image"] == pytest.approx(MLP_FLOPS, rel=0.01)
    assert "share" not in result.compute
    assert {"onecycle", "OneCycleLR", "CyclicLR"} <= set(result.eager_schedules)
    assert not {"cosine", "LambdaLR", "SequentialLR"} & set(result.eager_schedules)
    assert result.grid["engine_s"] > 0 and result.grid["by_hand_timed_trials"] == 2
    with write_bench(result.rows(), tmp_path / "b.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [line.name for line in result.lines]
    assert float(rows[0]["ratio"]) == reference.ratio.median


class Entered(Entrant):
    """Trains as many images as it is told to, and may fail in a round."""

    def go(self, epochs: int) -> Round:
        if self.contender.why_not and self.rounds:
            raise MachineError(f"bench: {self.name}: CUDA out of memory")
        return Round(1.0, 1.0, 100 * epochs)


def test_who_fails_in_a_round_is_left_out_and_the_others_go_on() -> None:
    names = {"engine": "", "8 trials in a graph": "short", "bf16": ""}
    entrants = [Entered(Contender(n, "engine", 1, why_not=why), []) for n, why in names.items()]
    said: list[str] = []
    assert interleaved(entrants, 3, 2.0, said.append) == 2
    assert [len(entrant.rounds) for entrant in entrants] == [3, 0, 3]
    assert "out of memory" in entrants[1].fault and not entrants[2].fault
    assert sum("out of memory" in line for line in said) == 1


def test_tables_fit_80_columns_and_say_no_difference() -> None:
    result = made(1.05)
    text = shown(result)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "1.05 (0.95-1.16)" in text and "no difference" in text
    assert "By CPU time it is 4.00 (3.62-4.42) times reference, 0 workers" in " ".join(text.split())
    assert "40.0 % of a matrix product's" in text
    assert "(2 trials timed and scaled)" in " ".join(text.split())
    assert "3.00 (2.71-3.31) times as fast as the best reference loop" in text


def made(tuned_ratio: float) -> Result:
    def line(kind: Any, name: str, times: float) -> Line:
        spread = Ratio(times, times / 1.105, times * 1.105)
        return Line(kind, name, 123456.7 / times, 81.04, spread, spread, 3.0, 0.1, 0.5)

    lines = [
        line("loop", "reference, 0 workers", 4.0), line("loop", "reference, 8 workers", 3.0),
        line("loop", "tuned, 0 workers", tuned_ratio), line("loop", "engine", 1.0),
        line("switch", "bf16", 0.7), Line("switch", "CUDA graph", why_not="needs a CUDA device"),
    ]  # fmt: skip
    machine = {"device": "cpu", "threads": 2}
    workload = {"recipe": Recipe().model_dump(mode="json"), "epochs_per_round": 3}
    compute = {"flops_per_image": 9.3e6, "engine_flops_s": 8e10, "matmul_flops_s": 2e11}
    grid = {"trials": 12, "epochs": 2, "engine_s": 20.0, "by_hand_s": 51.0, "ratio": 2.55,
            "by_hand_timed_trials": 2}  # fmt: skip
    return Result(machine, workload, lines, {**compute, "share": 0.4}, grid)


def shown(result: Result) -> str:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        console.print(bench_tables(result))
    return capture.get()
