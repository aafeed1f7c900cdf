"""The table of a CUDA device: whether the CUDA path is right, what each of its steps gains, and
whether the goals are met.

`python results/bench-h200/measure.py [--only tests,probe,goals,lenet,resnet18] [--out FOLDER]`,
from a clone with the test extra installed; each part takes a few minutes on a fast device.
After `--within` seconds, on Ctrl-C or when it is asked to end, it stops where it is. The table
comes last, and into FOLDER/table.txt, which is written anew with each line; FOLDER keeps the lines
of parts that were measured before on the same device, so that they may be measured one by one.

`--small --device cpu` only shows that everything runs. MNIST and `cifar10-jpeg` are looked for
under LRBENCH_DATA_DIR; without them made-up images of the same shape and number stand in for speed,
and accuracy is not judged. A line that could not be measured says why.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from lrbench.bench import probe as probing
from lrbench.bench.apart import MATRIX, matmul_flops
from lrbench.bench.apart import grid as whole_grid
from lrbench.bench.plan import Workload
from lrbench.bench.result import Result
from lrbench.bench.run import best_workers, raced
from lrbench.bench.worker import in_turns, torch_sync
from lrbench.data import ImageData, load
from lrbench.data.image_data import DIGITS, PHOTOS
from lrbench.engine.at_once import probed
from lrbench.engine.device import default_threads, open_device, set_threads
from lrbench.engine.precision import apply_precision
from lrbench.engine.program import Program
from lrbench.engine.train import begin
from lrbench.errors import LrbenchError
from lrbench.experiment import Recipe, TrialSpec
from lrbench.records import EpochRecord, Record, TrialEnd
from lrbench.tasks.images import ImageTask

ROOT = Path(__file__).resolve().parents[2]
NOT_MEASURED = "NOT MEASURED"
PARTS = ("tests", "probe", "goals", "lenet", "resnet18")
TEST_S = 200.0  # the most that a file of tests may take
WITHIN_S = 570
# Of the larger network, what its figures need: many processes take long to start.
CHOSEN = (
    "reference, 0 workers", "reference, 8 workers", "tuned, 2 workers", "steps alone", "engine",
    "channels_last off", "compiled", "CUDA graph", "4 trials in a graph",
)  # fmt: skip
AT_ONCE = ", --graph, several at once"
WAYS = ("", ", --graph", AT_ONCE)
tell = partial(print, flush=True)
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
    """What trainings of a grid took: once for all of them, and each; the last epoch's throughput,
    of all that train at once; FLOPs of an image; their test accuracies."""

    once_s: float
    each_s: float
    images_s: float
    flops: float
    accuracies: tuple[float, ...]
    timed: int
    at_once: int

    def whole_s(self, trials: int) -> float:
        return self.once_s + trials * self.each_s


def tests(device: str, *, small: bool) -> Iterator[Line]:
    """`pytest -m cuda`, each file in a process of its own: what one breaks is not the next one's.
    Warnings of another torch than the one that tests are written for are no faults."""
    every = sorted((ROOT / "tests").rglob("test_*.py"))
    files = [path for path in every if "\n@pytest.mark.cuda\n" in path.read_text()]
    for path in files[:1] if small else files:
        name = f"pytest -m cuda {path.relative_to(ROOT)}"
        line = Line(name, f"not done within {TEST_S:.0f} s", "all pass", "NOT MET")
        command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-W", "default", str(path)]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TEST_S)
        except subprocess.TimeoutExpired:
            yield line
            continue
        said = [row for row in (done.stderr + done.stdout).splitlines() if row.strip()]
        for row in said:
            if row.startswith(("FAILED", "ERROR", "E  ", "Fatal")):
                tell(row)
        last = said[-1].strip("= ") if said else f"exit code {done.returncode}"
        right = done.returncode == 0 and "passed" in last
        yield replace(line, found=last[-200:], verdict="met" if right else "NOT MET")


def probe(device: str, *, small: bool) -> Iterator[Line]:
    for found in probing.probe(device, small=small, threads=threads_of(small=small)):
        value = found.note if found.value is None else f"{found.value:.4g} {found.unit}"
        yield Line(f"probe: {found.name}", value)


def lenet(device: str, *, small: bool) -> Iterator[Line]:
    """`lrbench bench` for the smallest network."""
    yield from bench(Recipe(dataset="mnist"), device, small=small, rounds=5)


def resnet18(device: str, *, small: bool) -> Iterator[Line]:
    """`lrbench bench` for a larger one, of the loops and switches that matter there."""
    if small:
        return
    recipe = Recipe(model="resnet18", dataset="cifar10-jpeg", precision="bf16", batch_size=512)
    yield from bench(recipe, device, small=small, rounds=3, only=CHOSEN)


def bench(
    recipe: Recipe, device: str, *, small: bool, rounds: int, only: tuple[str, ...] = ()
) -> Iterator[Line]:
    recipe = recipe.model_copy(update={"dataset": found_dataset(recipe.dataset)})
    work = Workload(recipe, device, threads_of(small=small), 256 if small else 14400, None)
    result = raced(work, rounds=1 if small else rounds, quick=small, say=tell, only=only)
    yield from gains(result, f"bench {recipe.model}")
    whole = whole_grid(work, best_workers(work, result))
    text = "{ratio:.2f} x ({engine_s:.1f} s; {by_hand_s:.1f} s by hand)".format(**whole)
    size = "{trials} trials of {epochs} epochs".format(**whole)
    yield Line(f"bench {recipe.model}: {size} from start to end, engine over by hand", text)


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
    first, second, third = (shrunk(grid) if small else grid for grid in grids())
    yield beside(first, device, small=small)
    for grid in (first, second, third):
        data, made_up = images(grid.recipe.dataset, small=small)
        note = " (made-up images)" if made_up else ""
        for way in WAYS:
            line = Line(f"{grid.name}{way}", "", f"<= {grid.most_s:.0f} s")
            try:
                found = timed(grid, data, device, way)
            except Exception as fault:  # the table says so, and goes on
                yield replace(line, found=one_line(fault), verdict=NOT_MEASURED)
                continue
            whole = found.whole_s(grid.trials)
            beside_it = f", {found.at_once} at once" if found.at_once > 1 else ""
            text = f"{whole:.1f} s ({found.timed} trained and scaled{beside_it}){note}"
            yield judged(replace(line, found=text), whole <= grid.most_s)
            if grid is third:
                yield share(grid, device, found)
            if grid is second:
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


def timed(grid: Grid, data: ImageData, device_name: str, way: str) -> Timed:
    """Whole trials, evaluation included; with `AT_ONCE` as many side by side as a probe says."""
    device = open_device(device_name)
    apply_precision(device, grid.recipe.precision)
    began = time.perf_counter()
    task = ImageTask(data, grid.recipe, device, with_test=True)
    copies = probed(task, grid.recipe, device) if way == AT_ONCE else 1
    program = Program(task, grid.recipe, copies) if way else None
    torch_sync(device)
    once_s, spans, speeds, scores = time.perf_counter() - began, [], [], []
    for first in range(0, grid.timed, copies):
        began = time.perf_counter()
        records, ends = together(grid, task, program, range(first, first + copies))
        spans.append((time.perf_counter() - began) / copies)
        tell(f"{len(ends)} of {grid.timed} trials: {spans[-1]:.2f} s each")
        scores += [end.test_accuracy for end in ends if end.test_accuracy is not None]
        speeds += [copies * r.throughput_img_s for r in records if isinstance(r, EpochRecord)]
    flops, count = flops_per_image(task), copies * len(spans)
    return Timed(once_s, median(spans), median(speeds), flops, tuple(scores), count, copies)


def together(
    grid: Grid, task: ImageTask, program: Program | None, seeds: Iterable[int]
) -> tuple[list[Record], list[TrialEnd]]:
    """Trials epoch by epoch, in turns: what the last epoch of each left, and its end."""
    trainings = [
        begin(task, TrialSpec(recipe=grid.recipe, schedule="warmup(20%) + linear", lr=grid.lr,
                              seed=seed, stage="final", epochs=grid.epochs))
        for seed in seeds
    ]  # fmt: skip
    last, ends = in_turns(task, trainings, program)
    return list(last), [end for end in ends if isinstance(end, TrialEnd)]


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


def table(lines: list[Line], where: str) -> str:
    rows = [
        ("", "found", "goal or expected", ""),
        *((x.name, x.found, x.bar, x.verdict) for x in lines),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    text = [
        "  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([where, "", *text])


@dataclass
class Kept:
    """The lines of each part, in a folder as well where there is one."""

    where: str
    folder: Path | None
    parts: dict[str, list[Line]]

    @staticmethod
    def of(device: str, folder: Path | None) -> Kept:
        """What was measured on the same device before."""
        gpu = device.startswith("cuda")
        where = torch.cuda.get_device_name(device) if gpu else "CPU: a dry run"
        kept = Kept(f"{where}, torch {torch.__version__}", folder, {})
        if folder is not None and (folder / "lines.json").exists():
            before = json.loads((folder / "lines.json").read_text())
            if before["where"] == kept.where:
                kept.parts = {k: [Line(**x) for x in v] for k, v in before["parts"].items()}
        return kept

    def add(self, part: str, line: Line) -> None:
        self.parts.setdefault(part, []).append(line)
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = {name: [asdict(line) for line in lines] for name, lines in self.parts.items()}
        whole = json.dumps({"where": self.where, "parts": parts}, indent=1)
        (self.folder / "lines.json").write_text(whole)
        (self.folder / "table.txt").write_text(self.table() + "\n")

    @property
    def lines(self) -> list[Line]:
        return [line for part in PARTS for line in self.parts.get(part, [])]

    def table(self) -> str:
        return table(self.lines, self.where)


def measure(parts: list[str], device: str, kept: Kept, *, small: bool) -> None:
    """Part after part, until it is interrupted."""
    began = time.monotonic()
    made = {"tests": tests, "probe": probe, "goals": goals, "lenet": lenet, "resnet18": resnet18}
    for part in parts:
        kept.parts[part] = []
        try:
            for line in made[part](device, small=small):
                if small and line.verdict in ("met", "NOT MET"):
                    line = replace(line, verdict="dry run")
                spent = time.monotonic() - began
                tell(f"[{spent:.0f} s] {line.name}: {line.found}  {line.verdict}")
                kept.add(part, line)
        except KeyboardInterrupt:
            kept.add(part, Line(part, "interrupted, or its time was up", "", NOT_MEASURED))
            return
        except Exception as fault:  # the other parts are worth having without it
            kept.add(part, Line(part, one_line(fault), "", NOT_MEASURED))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The table of a CUDA device.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--within", type=int, default=WITHIN_S, help="seconds")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    chosen = given.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    try:
        device = str(open_device(given.device))
    except LrbenchError as fault:
        parser.error(str(fault))
    set_threads(threads_of(small=given.small))
    kept = Kept.of(device, given.out)
    for one in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(one, interrupt)
    signal.alarm(given.within)
    try:
        measure([part for part in PARTS if part in chosen], device, kept, small=given.small)
    finally:
        signal.alarm(0)
    tell("\n" + kept.table())
    return int(any(line.verdict.startswith("NOT") for line in kept.lines))


if __name__ == "__main__":
    sys.exit(main())
