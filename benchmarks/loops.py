"""Training loops in processes of their own, timed in interleaved rounds.

`python -m benchmarks.loops JSON` is one such process: it gets ready, then trains the number of
epochs that each line of its input says, and prints what that took.
"""

import json
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks import reference, tuned
from lrbench.data import ImageData, load
from lrbench.data.split import stratified
from lrbench.engine.device import BRIEFLY, apply_precision, open_device
from lrbench.engine.graphs.program import Program
from lrbench.engine.train import begin, train
from lrbench.models import build
from lrbench.options import Recipe, TrialSpec
from lrbench.tasks.images import ImageTask

ROOT = Path(__file__).resolve().parents[1]
LR = 0.01
Train = Callable[[int], int]  # epochs -> images trained on


@dataclass(frozen=True)
class Work:
    """What every loop trains: fields of a `Recipe`, and at most `images` of its dataset."""

    recipe: dict[str, Any]
    device: str
    threads: int
    images: int


@dataclass(frozen=True)
class Loop:
    """A training loop: `engine`, the frozen `reference`, `tuned`, or `steps` of the tuned one
    without loading. `changes` of the recipe; `at_once` slots of a captured graph, if any."""

    name: str
    kind: str = "engine"
    workers: int = 0
    processes: int = 1
    at_once: int = 0
    channels_last: bool = True
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """A loop's rounds in images per second, its CPU time per image (None with worker processes),
    and the seconds before its first epoch, or why it did not run."""

    loop: Loop
    images_s: tuple[float, ...] = ()
    cpu_us_image: float | None = None
    setup_s: float | None = None
    first_epoch_s: float | None = None
    fault: str = ""


def ratio(ours: Timing, theirs: Timing) -> tuple[float, float, float]:
    """How many times as fast ours is, round by round: median, lowest, highest."""
    each = [a / b for a, b in zip(ours.images_s, theirs.images_s, strict=True)]
    return median(each), min(each), max(each)


def race(
    work: Work, loops: Sequence[Loop], rounds: int, round_s: float, say: Callable[[str], None]
) -> list[Timing]:
    """Let every loop train once per round, the same epochs for all, about `round_s` seconds of
    the first loop."""
    with _started(work, loops, say) as runners:
        able = [runner for runner in runners if not runner.fault]
        once_s = (able[0].run(1)["wall_s"] if able else None) or round_s
        epochs = max(1, math.ceil(round_s / once_s))
        for number in range(rounds):
            for runner in (each for each in able if not each.fault):
                runner.round(epochs)
                last = runner.fault or f"{runner.speeds[-1]:,.0f} img/s"
                say(f"round {number + 1} of {rounds}, {runner.loop.name}: {last}")
    return [runner.timing() for runner in runners]


class Runner:
    """A loop's processes. Once one of them fails, `fault` says why and the loop is left out."""

    def __init__(self, work: Work, loop: Loop) -> None:
        self.loop, self.fault, self.ready = loop, "", dict[str, float]()
        self.speeds, self.cpu_us = list[float](), list[float]()
        # loops by hand wait as anybody's; only the engine as under `lrbench`
        env = {k: v for k, v in os.environ.items() if k not in BRIEFLY}
        env |= BRIEFLY if loop.kind == "engine" else {}
        work = replace(work, threads=max(1, work.threads // loop.processes))
        command = [
            sys.executable,
            "-m",
            "benchmarks.loops",
            json.dumps([asdict(work), asdict(loop)]),
        ]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                             cwd=ROOT, env=env)
            for _ in range(loop.processes)
        ]  # fmt: skip
        for process in self.processes:
            self.ready = self._answer(process)

    def run(self, epochs: int) -> dict[str, Any]:
        """Train in all processes at the same time."""
        began = time.perf_counter()
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{epochs}\n")
            process.stdin.flush()
        parts = [self._answer(process) for process in self.processes]
        wall_s = time.perf_counter() - began if len(parts) > 1 else parts[0].get("wall_s")
        return {
            "wall_s": wall_s,
            **{k: sum(p.get(k, 0) for p in parts) for k in ("images", "cpu_s")},
        }

    def round(self, epochs: int) -> None:
        found = self.run(epochs)
        if not self.fault:
            self.speeds.append(found["images"] / found["wall_s"])
            self.cpu_us.append(1e6 * found["cpu_s"] / found["images"])

    def timing(self) -> Timing:
        if self.fault:
            return Timing(self.loop, fault=self.fault)
        cpu_us = median(self.cpu_us) if not self.loop.workers else None
        return Timing(self.loop, tuple(self.speeds), cpu_us, **self.ready)

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line else {"fault": "its process died"}
        self.fault = self.fault or found.pop("fault", "")
        return found


@contextmanager
def _started(
    work: Work, loops: Sequence[Loop], say: Callable[[str], None]
) -> Iterator[list[Runner]]:
    runners: list[Runner] = []
    try:
        for loop in loops:
            runners.append(Runner(work, loop))
            say(f"{loop.name}: {runners[-1].fault or 'ready'}")
        yield runners
    finally:
        for process in (p for runner in runners for p in runner.processes):
            process.kill()
            process.communicate()


def trainer(work: Work, loop: Loop) -> Train:
    torch.set_num_threads(work.threads)
    recipe, device = Recipe(**{**work.recipe, **loop.changes}), open_device(work.device)
    if device.index is not None:  # loops by hand only say `cuda`
        torch.cuda.set_device(device)
    apply_precision(device, recipe.precision)
    data = subset(load(recipe.dataset), work.images)
    return (engine if loop.kind == "engine" else by_hand)(recipe, data, device, loop)


def subset(data: ImageData, images: int) -> ImageData:
    """The dataset with at most `images` training images, evenly spread."""
    every = max(1, -(-len(data.train_labels) // images))
    return replace(
        data, train_images=data.train_images[::every], train_labels=data.train_labels[::every]
    )


class TrainOnly(ImageTask):
    """An image task without evaluation, and with channels first if asked for."""

    channels_last = True

    def model(self, seed: int) -> torch.nn.Module:
        model = super().model(seed)
        return model if self.channels_last else model.to(memory_format=torch.contiguous_format)

    def ordered_batch(self, order: torch.Tensor) -> Any:
        return self._laid_out(*super().ordered_batch(order))

    def train_batches(self, seed: int, epoch: int) -> Iterator[Any]:
        return (self._laid_out(*batch) for batch in super().train_batches(seed, epoch))

    def _laid_out(self, images: torch.Tensor, labels: torch.Tensor) -> Any:
        if not self.channels_last:  # with one channel, torch takes either order for contiguous
            images = torch.empty(images.shape, device=images.device).copy_(images)
        return images, labels

    def evaluate(self, *_: Any) -> dict[str, float]:
        return {}


def engine(recipe: Recipe, data: ImageData, device: torch.device, loop: Loop) -> Train:
    """Whole trials with records and schedules, `at_once` of them in turns."""
    task = TrainOnly(data, recipe, device, with_test=False)
    task.channels_last = loop.channels_last
    program = Program(task, recipe, loop.at_once) if loop.at_once else None

    def run(epochs: int) -> int:
        specs = [
            TrialSpec(recipe=recipe, schedule="cosine", lr=LR, seed=seed, stage="tune",
                      epochs=epochs)
            for seed in range(loop.at_once or 1)
        ]  # fmt: skip
        train_by = program.train if program else train
        *_, ends = zip(*(train_by(task, begin(task, spec)) for spec in specs), strict=True)
        assert all(end.status == "done" for end in ends), ends
        return len(specs) * epochs * task.steps_per_epoch * task.samples_per_step

    return run


def by_hand(recipe: Recipe, data: ImageData, device: torch.device, loop: Loop) -> Train:
    """Whole trainings of a loop by hand."""
    kept, _ = stratified(data.train_labels, recipe.val_fraction)
    data = replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])
    is_tuned = loop.kind != "reference"
    home = tuned if is_tuned else reference
    batches = home.train_loader(data, recipe.batch_size, loop.workers, device.type)
    if loop.kind == "steps":
        batches = [(images.to(device), labels.to(device)) for images, labels in batches]

    def run(epochs: int) -> int:
        model = build(recipe.model, data.image_shape, len(data.classes)).to(device)
        model = tuned.prepared(model) if is_tuned else model
        optimizer = torch.optim.SGD(
            model.parameters(), LR, momentum=recipe.momentum, weight_decay=recipe.weight_decay,
            fused=is_tuned or None,
        )  # fmt: skip
        steps = epochs * (len(kept) // recipe.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(epochs):
            for _ in reference.train_epoch(
                model, optimizer, schedule, batches, device.type, recipe.precision
            ):
                pass
        return steps * recipe.batch_size

    return run


def sync(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def timed(train: Train, epochs: int, device: str) -> dict[str, float]:
    sync(device)
    wall, cpu = time.perf_counter(), time.process_time()
    images = train(epochs)
    sync(device)
    cpu_s = time.process_time() - cpu
    return {"wall_s": time.perf_counter() - wall, "cpu_s": cpu_s, "images": images}


def serve(work: Work, loop: Loop) -> Iterator[dict[str, Any]]:
    """What getting ready took, then the timing of each line of the input."""
    # more workers than cores is what some loops are there to show
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    began = time.perf_counter()
    train = trainer(work, loop)
    sync(work.device)
    setup_s = time.perf_counter() - began
    yield {"setup_s": setup_s, "first_epoch_s": timed(train, 1, work.device)["wall_s"]}
    for line in sys.stdin:
        yield timed(train, int(line), work.device)


def main() -> None:
    work, loop = json.loads(sys.argv[1])
    try:
        for answer in serve(Work(**work), Loop(**loop)):
            print(json.dumps(answer), flush=True)
    except Exception as fault:  # a compiler, a device, memory: anything may be missing
        print(
            json.dumps({"fault": f"{type(fault).__name__}: {' '.join(str(fault).split())}"[:300]})
        )


if __name__ == "__main__":
    main()
