"""The table of a CUDA device: whether the CUDA path is right, what each of its steps gains, and
whether the goals are met.

`python results/bench-h200/measure.py [--only tests,probe,bench,goals] [--out FOLDER]`, from a clone
with the test extra installed; each part is under ten minutes on a fast device. `--small --device
cpu` only shows that everything runs. MNIST and `cifar10-jpeg` are looked for under
LRBENCH_DATA_DIR; without them made-up images of the same shape and number stand in for speed, and
accuracy is not judged. The table comes last, and into FOLDER/table.txt; a line that could not be
measured says why.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from lrbench.bench import probe as probing
from lrbench.bench.apart import MATRIX, matmul_flops
from lrbench.bench.plan import Workload
from lrbench.bench.result import Result
from lrbench.bench.run import run as run_bench
from lrbench.bench.worker import torch_sync
from lrbench.data import ImageData, load
from lrbench.data.image_data import DIGITS, PHOTOS
from lrbench.engine.device import default_threads, open_device, set_threads
from lrbench.engine.precision import apply_precision
from lrbench.engine.program import Program
from lrbench.engine.train import begin, train
from lrbench.errors import LrbenchError
from lrbench.experiment import Recipe, TrialSpec
from lrbench.records import EpochRecord, TrialEnd
from lrbench.tasks.images import ImageTask

ROOT = Path(__file__).resolve().parents[2]
NOT_MEASURED = "NOT MEASURED"
PARTS = ("tests", "probe", "bench", "goals")
# What was expected before any GPU was at hand: estimates, to be replaced by what is measured.
PREDICTED = {
    "channels_last off": "0.3-0.7 with bf16", "bf16": "1.5-3", "compiled": "1.0-1.2",
    "CUDA graph": "3-5 lenet, 1.0-1.3 resnet18",
    "4 trials in a graph": "times 2-4 lenet, 1.0 resnet18",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of the table; `bar` is the goal or what was expected."""

    name: str
    found: str
    bar: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Grid:
    """Trainings of one shape: `timed` of `trials` are trained, and their time is scaled."""

    recipe: Recipe
    trials: int
    timed: int
    epochs: int
    lr: float
    most_s: float

    @property
    def name(self) -> str:
        recipe = self.recipe
        size = f"{self.epochs} epochs, batch {recipe.batch_size}, {recipe.precision}"
        return f"{self.trials} x {recipe.model} on {recipe.dataset}, {size}"


@dataclass(frozen=True)
class Timed:
    """What trainings of a grid took: once for all of them, and each; the last epoch's throughput;
    FLOPs of an image; their test accuracies."""

    once_s: float
    each_s: float
    images_s: float
    flops: float
    accuracies: tuple[float, ...]

    def whole_s(self, trials: int) -> float:
        return self.once_s + trials * self.each_s


def tests(device: str, *, small: bool) -> Iterator[Line]:
    """`pytest -m cuda`."""
    chosen = ["tests/engine/test_device.py"] if small else ["tests"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "cuda", *chosen],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    print("\n".join(line for line in lines if line.startswith(("FAILED", "ERROR", "E  "))))
    last = lines[-1].strip("= ") if lines else done.stderr.strip()[-200:]
    right = done.returncode == 0 and "passed" in last
    yield Line("pytest -m cuda", last, "all pass", "met" if right else "NOT MET")


def probe(device: str, *, small: bool) -> Iterator[Line]:
    for found in probing.probe(device, small=small, threads=threads_of(small=small)):
        value = found.note if found.value is None else f"{found.value:.4g} {found.unit}"
        yield Line(f"probe: {found.name}", value)


def bench(device: str, *, small: bool) -> Iterator[Line]:
    """`lrbench bench` for the smallest network and for a larger one."""
    shapes = [("lenet", "mnist", "fp32", 128)]
    shapes += [] if small else [("resnet18", "cifar10-jpeg", "bf16", 512)]
    for model, dataset, precision, batch in shapes:
        recipe = Recipe(
            model=model, dataset=found_dataset(dataset), precision=precision, batch_size=batch
        )
        number = 256 if small else 3600 if model == "lenet" else 14400
        work = Workload(recipe, device, threads_of(small=small), number, None)
        result = run_bench(work, rounds=1 if small else 5, quick=small, say=print)
        yield from gains(result, f"bench {model}")


def gains(result: Result, name: str) -> Iterator[Line]:
    """The engine over the loops by hand, and what each switch gains."""
    for line in result.lines:
        if line.ratio is None:
            yield Line(f"{name}: {line.name}", line.why_not or "not measured")
        elif line.name != "engine":
            spread = f"{line.ratio.median:.2f} ({line.ratio.low:.2f}-{line.ratio.high:.2f})"
            what = "engine over it" if line.kind == "loop" else "over the engine"
            yield Line(f"{name}: {line.name}", f"{spread} x {what}", PREDICTED.get(line.name, ""))
    best, engine = result.best_reference, next(r for r in result.lines if r.name == "engine")
    graph = next((r for r in result.lines if r.name == "CUDA graph" and r.images_s), None)
    if name.endswith("lenet") and best and best.images_s and engine.images_s:
        times = (graph or engine).images_s / best.images_s  # type: ignore[operator]
        what = f"{name}: {'CUDA graph' if graph else 'engine'} over the best reference loop"
        yield judged(Line(what, f"{times:.1f} x", ">= 10 x"), times >= 10)


def goals(device: str, *, small: bool) -> Iterator[Line]:
    lenet, fastnet, resnet18 = (shrunk(grid) if small else grid for grid in grids())
    yield beside(lenet, device, small=small)
    for grid in (lenet, fastnet, resnet18):
        data, made_up = images(grid.recipe.dataset, small=small)
        note = " (made-up images)" if made_up else ""
        for graph in (False, True):
            try:
                found = timed(grid, data, device, graph=graph)
            except Exception as fault:  # the table says so, and goes on
                yield Line(f"{grid.name}{', --graph' * graph}", one_line(fault), "", NOT_MEASURED)
                continue
            whole = found.whole_s(grid.trials)
            text = f"{whole:.1f} s ({grid.timed} trained and scaled){note}"
            line = Line(f"{grid.name}{', --graph' * graph}", text, f"<= {grid.most_s:.0f} s")
            yield judged(line, whole <= grid.most_s)
            if grid is resnet18:
                yield share(grid, device, found)
            if grid is fastnet:
                yield accuracy(found, made_up=made_up)


def grids() -> tuple[Grid, Grid, Grid]:
    return (
        Grid(Recipe(dataset="mnist"), 120, 6, 5, 0.05, 60),
        Grid(Recipe(model="fastnet", dataset="cifar10-jpeg", batch_size=512, precision="bf16",
                    nesterov=True, label_smoothing=0.2), 120, 5, 10, 0.5, 360),
        Grid(Recipe(model="resnet18", dataset="cifar10-jpeg", batch_size=512, precision="bf16"),
             12, 2, 20, 0.2, 300),
    )  # fmt: skip


def shrunk(grid: Grid) -> Grid:
    recipe = grid.recipe.model_copy(update={"batch_size": 8})
    return replace(grid, recipe=recipe, timed=1, epochs=1)


def timed(grid: Grid, data: ImageData, device_name: str, *, graph: bool) -> Timed:
    """Whole trials, evaluation included."""
    device = open_device(device_name)
    apply_precision(device, grid.recipe.precision)
    began = time.perf_counter()
    task = ImageTask(data, grid.recipe, device, with_test=True)
    program = Program(task, grid.recipe) if graph else None
    torch_sync(device)
    once_s, spans, speeds, scores = time.perf_counter() - began, [], [], []
    for seed in range(grid.timed):
        began = time.perf_counter()
        spec = TrialSpec(
            recipe=grid.recipe, schedule="warmup(20%) + linear", lr=grid.lr, seed=seed,
            stage="final", epochs=grid.epochs,
        )  # fmt: skip
        training = begin(task, spec)
        training.program = program
        *epochs, end = train(task, training)
        spans.append(time.perf_counter() - began)
        assert isinstance(end, TrialEnd)
        if end.test_accuracy is not None:
            scores.append(end.test_accuracy)
        speeds += [r.throughput_img_s for r in epochs[-1:] if isinstance(r, EpochRecord)]
    return Timed(once_s, median(spans), median(speeds), flops_per_image(task), tuple(scores))


def beside(grid: Grid, device_name: str, *, small: bool) -> Line:
    """By how much a trial differs alone and among four, one of which overflows."""
    data, _ = images(grid.recipe.dataset, small=small)
    task = ImageTask(data, grid.recipe, open_device(device_name), with_test=False)
    weights = []
    for lrs in ([grid.lr], [grid.lr, 1e30, grid.lr, grid.lr]):
        program = Program(task, grid.recipe, copies=len(lrs))
        program.members = [
            begin(task, TrialSpec(recipe=grid.recipe, schedule="cosine", lr=lr, seed=seed,
                                  stage="tune", epochs=1))
            for seed, lr in enumerate(lrs)
        ]  # fmt: skip
        program.epoch(program.members[0])
        weights.append([p.detach() for p in program.members[0].model.parameters()])
    worst = max((a - b).abs().max().item() for a, b in zip(*weights, strict=True))
    return Line("a trial alone and among 4, --graph: largest difference of a weight", f"{worst:g}")


def share(grid: Grid, device: str, found: Timed) -> Line:
    """Of the matrix products that the device does in the same precision, in the same run."""
    line = Line(f"{grid.recipe.model} {grid.recipe.precision}: of the matrix product's FLOP/s", "")
    if not device.startswith("cuda"):
        return replace(line, found=probing.NEEDS_CUDA, bar=">= 35 %", verdict=NOT_MEASURED)
    limit = matmul_flops(torch.device(device), torch.bfloat16, MATRIX)
    part = found.images_s * found.flops / limit
    text = f"{100 * part:.1f} % of {limit / 1e12:.0f} TFLOP/s"
    return judged(replace(line, found=text, bar=">= 35 %"), part >= 0.35)


def flops_per_image(task: ImageTask) -> float:
    """Forward and backward, counted by torch: a multiply-add counts as two."""
    model, batch = task.model(0), next(task.train_batches(0, 0))
    with FlopCounterMode(display=False) as counter:
        task.loss(model, batch)[0].backward()
    return counter.get_total_flops() / len(batch[1])


def accuracy(found: Timed, *, made_up: bool) -> Line:
    name, goal = "fastnet on cifar10-jpeg, 10 epochs: test accuracy", ">= 93 %"
    if made_up or not found.accuracies:
        return Line(name, "needs cifar10-jpeg under LRBENCH_DATA_DIR", goal, NOT_MEASURED)
    mean = sum(found.accuracies) / len(found.accuracies)
    text = f"{100 * mean:.2f} % (mean of {len(found.accuracies)} seeds)"
    return judged(Line(name, text, goal), mean >= 0.93)


def judged(line: Line, is_met: bool) -> Line:
    return replace(line, verdict="met" if is_met else "NOT MET")


def found_dataset(name: str) -> str:
    """The dataset as `--dataset` names it; the packaged one where it is not there."""
    root = os.environ.get("LRBENCH_DATA_DIR", "")
    spec = name if name == "mnist" else f"folder:{Path(root) / name}"
    try:
        load(spec)
    except LrbenchError:
        return "mnist5k"
    return spec if root else "mnist5k"


def threads_of(*, small: bool) -> int:
    return 1 if small else default_threads()


def images(name: str, *, small: bool) -> tuple[ImageData, bool]:
    """The dataset, or as many made-up images of its shape; whether they are made up."""
    if not small:
        found = found_dataset(name)
        if found != "mnist5k":
            return load(found), False
    is_grey = name == "mnist"
    shape, rule = ((1, 28, 28), DIGITS) if is_grey else ((3, 32, 32), PHOTOS)
    count = 64 if small else 60_000 if is_grey else 50_000
    random = np.random.default_rng(0)
    parts = [random.integers(0, 256, (n, *shape), dtype=np.uint8) for n in (count, count // 5)]
    labels = [np.arange(len(part)) % 10 for part in parts]
    classes = tuple(str(label) for label in range(10))
    return ImageData("made up", parts[0], labels[0], parts[1], labels[1], classes, rule), True


def one_line(fault: Exception) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault).split())}"[:160]


def table(lines: list[Line], device: str) -> str:
    where = torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU: a dry run"
    rows = [
        ("", "found", "goal or expected", ""),
        *((x.name, x.found, x.bar, x.verdict) for x in lines),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    text = [
        "  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([f"{where}, torch {torch.__version__}", "", *text])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The table of a CUDA device.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    device = str(open_device(given.device))
    set_threads(threads_of(small=given.small))
    made = {"tests": tests, "probe": probe, "bench": bench, "goals": goals}
    lines: list[Line] = []
    for part in (name for name in PARTS if name in given.only.split(",")):
        try:
            for line in made[part](device, small=given.small):
                if given.small and line.verdict in ("met", "NOT MET"):
                    line = replace(line, verdict="dry run")
                print(f"{line.name}: {line.found}  {line.verdict}", flush=True)
                lines.append(line)
        except Exception as fault:  # the other parts are worth having without it
            lines.append(Line(part, one_line(fault), "", NOT_MEASURED))
    whole = table(lines, device)
    print("\n" + whole)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "table.txt").write_text(whole + "\n")
    return int(any(line.verdict.startswith("NOT") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
