"""The table of a CUDA device: whether the CUDA path is correct, what each switch gains, whether the
goals are met. No such table has been made yet.

    export LRBENCH_DATA_DIR=~/data      # MNIST and cifar10-jpeg, if they are there
    python -m benchmarks.gpu --out benchmarks/tables tests goals
    python -m benchmarks.gpu --out benchmarks/tables lenet resnet18

Each command ends within ten minutes and prints the table last, with what other commands measured on
the same device. Made-up images stand in for missing data; accuracy is then not judged.
`--quick --device cpu` is a dry run, which judges nothing.
"""

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
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.loops import ROOT, Loop, Timing, Work, race, ratio, sync
from lrbench.data import ImageData, load
from lrbench.data.image_data import DIGITS, PHOTOS
from lrbench.engine.device import apply_precision, default_threads, open_device
from lrbench.engine.graphs.program import Program, probed
from lrbench.engine.train import begin, train
from lrbench.errors import LrbenchError
from lrbench.options import Recipe, TrialSpec
from lrbench.records import EpochRecord, TrialEnd
from lrbench.tasks.images import ImageTask

TEST_S = 200.0  # time limit of one file of tests
WITHIN_S = 570
NOT_MEASURED = "NOT MEASURED"
ENGINE = Loop("engine")
SWITCHES = [
    Loop("channels_last off", channels_last=False),
    Loop("bf16", changes={"precision": "bf16"}),
    Loop("compile", changes={"compile": True}),
    *(Loop(f"graph, {n} at once", at_once=n) for n in (1, 2, 4, 8)),
    Loop("2 processes", processes=2),
]
BY_HAND = [
    *(Loop(f"plain loop, {n} workers", "reference", workers=n) for n in (0, 4, 8)),
    Loop("tuned loop, 2 workers", "tuned", workers=2),
    Loop("steps alone", "steps"),
]
WAYS = ("", ", graph", ", graph, several at once")
say = partial(print, flush=True)


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    found: str
    goal: str = ""
    verdict: str = ""


def judged(line: Line, is_met: bool) -> Line:
    return replace(line, verdict="met" if is_met else "NOT MET")


@dataclass(frozen=True)
class Goal:
    """`trials` trainings within `limit_s`; `timed` of them are trained, and their time scaled."""

    recipe: Recipe
    trials: int
    timed: int
    epochs: int
    lr: float
    limit_s: float

    @property
    def name(self) -> str:
        recipe = self.recipe
        return f"{self.trials} x {recipe.model}, {self.epochs} epochs, {recipe.precision}"


GOALS = (
    Goal(Recipe(dataset="mnist"), 120, 6, 5, 0.05, 60),
    Goal(Recipe(model="fastnet", dataset="cifar10-jpeg", batch_size=512, precision="bf16",
                nesterov=True, label_smoothing=0.2), 120, 5, 10, 0.5, 360),
    Goal(Recipe(model="resnet18", dataset="cifar10-jpeg", batch_size=512, precision="bf16"),
         12, 2, 20, 0.2, 300),
)  # fmt: skip


def tests(device: str, quick: bool) -> Iterator[Line]:
    """`pytest -m cuda`, each file in its own process, so that one cannot break the next."""
    marked = "\n@pytest.mark.cuda\n"
    files = [f for f in sorted((ROOT / "tests").rglob("test_*.py")) if marked in f.read_text()]
    for path in files[:1] if quick else files:
        line = Line(f"pytest -m cuda {path.relative_to(ROOT)}", "", "all pass")
        command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-W", "default", str(path)]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TEST_S)
        except subprocess.TimeoutExpired:
            yield judged(replace(line, found=f"not done within {TEST_S:.0f} s"), False)
            continue
        output = [row for row in (done.stderr + done.stdout).splitlines() if row.strip()]
        for row in output:
            if row.startswith(("FAILED", "ERROR", "E  ", "Fatal")):
                say(row)
        last = output[-1].strip("= ") if output else f"exit code {done.returncode}"
        passed = done.returncode == 0 and "passed" in last
        yield judged(replace(line, found=last[-200:]), passed)


def lenet(device: str, quick: bool) -> Iterator[Line]:
    yield from gains({"dataset": dataset("mnist")}, device, quick, [*BY_HAND, *SWITCHES])


def resnet18(device: str, quick: bool) -> Iterator[Line]:
    recipe = {"model": "resnet18", "dataset": dataset("cifar10-jpeg"), "precision": "bf16"}
    few = [loop for loop in (*BY_HAND, *SWITCHES) if loop.name not in ("bf16", "2 processes")]
    if not quick:
        yield from gains({**recipe, "batch_size": 512}, device, quick, few)


def gains(
    recipe: dict[str, Any], device: str, quick: bool, loops: Iterable[Loop]
) -> Iterator[Line]:
    """Each switch on its own over the plain engine, and the engine over loops by hand."""
    name = recipe.get("model", "lenet")
    work = Work(recipe, device, 1 if quick else default_threads(), 300 if quick else 16_000)
    able = [loop for loop in loops if not (quick and (loop.workers or "compile" in loop.changes))]
    engine, *others = race(work, [ENGINE, *able], *((1, 0.05) if quick else (4, 2.0)), say)
    for other in others:
        yield gain(name, engine, other)
    for each in others:  # apart from the rounds
        if each.loop.at_once and each.setup_s is not None:
            yield Line(f"{name}: {each.loop.name}, set up and captured", f"{each.setup_s:.1f} s")
    hand = [each for each in others if each.loop.kind == "reference" and each.images_s]
    graph = next((each for each in others if each.loop.at_once == 1 and each.images_s), engine)
    if name == "lenet" and hand and graph.images_s:
        best = max(hand, key=lambda each: median(each.images_s))
        times, _, _ = ratio(graph, best)
        yield judged(Line("lenet: graph over the best plain loop", f"{times:.1f} x", ">= 10 x"),
                     times >= 10)  # fmt: skip


def gain(name: str, engine: Timing, other: Timing) -> Line:
    if not (engine.images_s and other.images_s):
        return Line(f"{name}: {other.loop.name}", engine.fault or other.fault)
    by_hand = other.loop.kind != "engine"
    pair = (engine, other) if by_hand else (other, engine)
    what = "engine over it" if by_hand else "over the engine"
    return Line(
        f"{name}: {other.loop.name}", "{:.2f} ({:.2f}-{:.2f}) x ".format(*ratio(*pair)) + what
    )


def goals(device: str, quick: bool) -> Iterator[Line]:
    for goal in GOALS:
        if quick:
            small = goal.recipe.model_copy(update={"batch_size": 8, "model": "mlp"})
            goal = replace(goal, recipe=small, timed=1, epochs=1)
        data, made_up = images(goal.recipe.dataset, quick)
        for way in WAYS:
            line = Line(f"{goal.name}{way}", "", f"<= {goal.limit_s:.0f} s")
            try:
                yield from grid(line, goal, data, made_up, open_device(device), way)
            except Exception as fault:  # it becomes a line of the table, and the rest goes on
                yield replace(line, found=one_line(fault), verdict=NOT_MEASURED)


def grid(
    line: Line, goal: Goal, data: ImageData, made_up: bool, device: torch.device, way: str
) -> Iterator[Line]:
    """Whole trials with evaluation, in turns where several train at once."""
    apply_precision(device, goal.recipe.precision)
    began = time.perf_counter()
    task = ImageTask(data, goal.recipe, device, with_test=True)
    copies = probed(task, goal.recipe, device) if way == WAYS[2] else 1
    program = Program(task, goal.recipe, copies) if way else None
    sync(str(device))
    setup_s, each_s, speeds, scores = time.perf_counter() - began, [], [], []
    for first in range(0, goal.timed, copies):
        began = time.perf_counter()
        last, ends = trained(task, goal, program, range(first, first + copies))
        each_s.append((time.perf_counter() - began) / copies)
        speeds += [copies * record.throughput_img_s for record in last]
        scores += [end.test_accuracy for end in ends if end.test_accuracy is not None]
    whole_s = setup_s + goal.trials * median(each_s)
    text = f"{whole_s:.1f} s ({copies * len(each_s)} trained and scaled, {copies} at once)"
    yield judged(replace(line, found=text + " (made-up images)" * made_up), whole_s <= goal.limit_s)
    if goal is GOALS[1] and not made_up:
        mean = sum(scores) / len(scores)
        accuracy = Line(f"fastnet{way}: test accuracy", f"{100 * mean:.2f} %", ">= 93 %")
        yield judged(accuracy, mean >= 0.93)
    if goal is GOALS[2] and device.type == "cuda":
        limit = matmul_flops(device)
        share = median(speeds) * flops_per_image(task) / limit
        text = f"{100 * share:.1f} % of {limit / 1e12:.0f} TFLOP/s"
        bf16 = Line(f"resnet18{way}: of a bf16 matrix product", text, ">= 35 %")
        yield judged(bf16, share >= 0.35)


def trained(
    task: ImageTask, goal: Goal, program: Program | None, seeds: Iterable[int]
) -> tuple[list[EpochRecord], list[TrialEnd]]:
    """The last epoch of each trial, and its end."""
    train_by = program.train if program else train
    specs = [
        TrialSpec(recipe=goal.recipe, schedule="warmup(20%) + linear", lr=goal.lr, seed=seed,
                  stage="final", epochs=goal.epochs)
        for seed in seeds
    ]  # fmt: skip
    *_, last, ends = zip(*(train_by(task, begin(task, spec)) for spec in specs), strict=True)
    return [r for r in last if isinstance(r, EpochRecord)], list(ends)


def flops_per_image(task: ImageTask) -> float:
    """Forward and backward, counted by torch: a multiply-add counts as two."""
    model, batch = task.model(0), next(task.train_batches(0, 0))
    with FlopCounterMode(display=False) as counter:
        task.loss(model, batch)[0].backward()
    return counter.get_total_flops() / len(batch[1])


def matmul_flops(device: torch.device, size: int = 8192) -> float:
    """FLOP/s of a large bf16 matrix product, the best of five tries."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    spans = []
    for _ in range(7):  # the first two warm up
        sync(str(device))
        began = time.perf_counter()
        for _ in range(4):
            a @ b
        sync(str(device))
        spans.append((time.perf_counter() - began) / 4)
    return 2 * size**3 / min(spans[2:])


def dataset(name: str) -> str:
    """The dataset as `--dataset` names it, or `mnist5k` if it is not under LRBENCH_DATA_DIR."""
    root = os.environ.get("LRBENCH_DATA_DIR", "")
    spec = name if name == "mnist" else f"folder:{Path(root) / name}"
    try:
        load(spec)
    except LrbenchError:
        return "mnist5k"
    return spec if root else "mnist5k"


def images(name: str, quick: bool) -> tuple[ImageData, bool]:
    """The dataset, or made-up images of its shape and number; whether they are made up."""
    if not quick and (found := dataset(name)) != "mnist5k":
        return load(found), False
    is_grey = name == "mnist"
    shape, rule = ((1, 28, 28), DIGITS) if is_grey else ((3, 32, 32), PHOTOS)
    count = 64 if quick else 60_000 if is_grey else 50_000
    random = np.random.default_rng(0)
    parts = [random.integers(0, 256, (n, *shape), dtype=np.uint8) for n in (count, count // 5)]
    labels = [np.arange(len(part)) % 10 for part in parts]
    classes = tuple(str(label) for label in range(10))
    return ImageData("made up", parts[0], labels[0], parts[1], labels[1], classes, rule), True


def one_line(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault).split())}"[:160]


PARTS = {"tests": tests, "goals": goals, "lenet": lenet, "resnet18": resnet18}


class Table:
    """The lines of each part; kept in `gpu.json` and `gpu.txt` of a folder, if there is one."""

    def __init__(self, device: torch.device, folder: Path | None) -> None:
        on_cuda = device.type == "cuda"
        where = torch.cuda.get_device_name(device) if on_cuda else "CPU: a dry run"
        self.where, self.folder = f"{where}, torch {torch.__version__}", folder
        self.parts: dict[str, list[Line]] = {}
        if folder is not None and (folder / "gpu.json").exists():
            before = json.loads((folder / "gpu.json").read_text())
            if before["where"] == self.where:
                self.parts = {k: [Line(**x) for x in v] for k, v in before["parts"].items()}

    def add(self, part: str, line: Line) -> None:
        self.parts[part].append(line)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            parts = {name: [asdict(x) for x in lines] for name, lines in self.parts.items()}
            kept = json.dumps({"where": self.where, "parts": parts}, indent=1)
            (self.folder / "gpu.json").write_text(kept + "\n")
            (self.folder / "gpu.txt").write_text(f"{self}\n")

    @property
    def lines(self) -> list[Line]:
        return [line for part in PARTS for line in self.parts.get(part, [])]

    def __str__(self) -> str:
        rows = [
            ("", "found", "goal", ""),
            *((x.name, x.found, x.goal, x.verdict) for x in self.lines),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        text = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([self.where, "", *text])


def measure(parts: Iterable[str], device: str, table: Table, quick: bool) -> None:
    """Part after part, until the time is up."""
    for part in parts:
        table.parts[part] = []
        try:
            for line in PARTS[part](device, quick):
                if quick and line.verdict in ("met", "NOT MET"):
                    line = replace(line, verdict="dry run")
                say(f"{line.name}: {line.found}  {line.verdict}")
                table.add(part, line)
        except KeyboardInterrupt:
            table.add(part, Line(part, "interrupted, or its time was up", "", NOT_MEASURED))
            return
        except Exception as fault:  # it becomes a line of the table, and the rest goes on
            table.add(part, Line(part, one_line(fault), "", NOT_MEASURED))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The table of a CUDA device.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="a dry run")
    parser.add_argument("--within", type=int, default=WITHIN_S, help="seconds")
    parser.add_argument("--out", type=Path, help="folder of gpu.json and gpu.txt")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    try:
        device = open_device(given.device)
    except LrbenchError as fault:
        print(f"gpu: {fault}", file=sys.stderr)
        return fault.exit_code
    table = Table(device, given.out)
    for signal_ in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(signal_, interrupt)
    signal.alarm(given.within)
    try:
        measure([p for p in PARTS if p in (given.parts or PARTS)], str(device), table, given.quick)
    finally:
        signal.alarm(0)
    say(f"\n{table}")
    return int(any(line.verdict.startswith("NOT") for line in table.lines))


if __name__ == "__main__":
    sys.exit(main())
