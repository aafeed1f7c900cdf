"""A comparison of 10,000 trials on 1,000 GPUs, simulated: the crew, the planner, the journals and
the report are the package's own; only the training is made up.

    python -m benchmarks.scale.simulate [--trials 1000,2000,5000,10000] [--per-gpu 10]

The epochs of a trial take the times that `results/compare-mnist5k-lenet` recorded, drawn at random
and multiplied (`--slower`). One trial in a hundred loses its node at a random moment and goes on
from its last whole epoch elsewhere; one in twenty is slower by half. Ideal is all work that was
done for the result, over all GPUs, without any wait for another stage. With foresight: no node is
lost, and every stage begins with the trials that will turn out to be the longest.
"""

import argparse
import csv
import heapq
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.scale.measure import BATCH, STEPS, begun, seconds
from lrbench.execute import Host, Workbench
from lrbench.execute.cluster import Nodes
from lrbench.execute.mock import invented
from lrbench.execute.supervise import Worker
from lrbench.options import Recipe
from lrbench.plan import plan
from lrbench.records import EpochRecord
from lrbench.run.journal import row_of

RECORDED = Path(__file__).parents[2] / "results" / "compare-mnist5k-lenet" / "epochs.csv"
LOST, STRAGGLERS, SLOWDOWN = 0.01, 0.05, 1.5


@dataclass(eq=False)
class Gpu(Worker):
    """A worker whose messages are events of the simulation."""

    begun: bool = False


@dataclass(eq=False)
class Simulated(Nodes):
    """GPUs in simulated time. `work_s` is what the result needed of them."""

    epochs_s: Sequence[float] = ()
    now_s: float = 0.0
    work_s: float = 0.0
    losses: int = 0
    events: list[Any] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=count)
    done: dict[str, int] = field(default_factory=dict)
    lengths_s: dict[str, float] = field(default_factory=dict)

    def at(self, s: float, gpu: Gpu, message: Mapping[str, Any] | None) -> None:
        heapq.heappush(self.events, (s, next(self.order), gpu, message))

    def hire(self) -> Worker:
        gpu = Gpu()
        machine = self.bench.machine
        self.at(self.now_s, gpu, {"ready": {"code": {}, "data": None, "machine": machine}})
        return gpu

    def give(self, gpu: Any, trial: Any) -> None:
        """Put the messages of a training into the queue of events."""
        gpu.begun = False
        chance = random.Random(trial.id)
        slow = SLOWDOWN if chance.random() < STRAGGLERS else 1.0
        lengths = [slow * chance.choice(self.epochs_s) for _ in range(trial.epochs)]
        self.lengths_s[trial.id] = sum(lengths)
        first = trial.id not in self.done
        death = chance.uniform(0, sum(lengths)) if first and chance.random() < LOST else None
        start, clock = self.done.setdefault(trial.id, 0), 0.0
        self.at(self.now_s, gpu, {"records": []})
        for record in list(invented(trial))[start:]:
            if isinstance(record, EpochRecord):
                clock += lengths[record.epoch - 1]
                record = replace(record, train_s=lengths[record.epoch - 1])
                if death is not None and clock > death:
                    self.at(self.now_s + death, gpu, None)
                    return
                self.done[trial.id] = record.epoch
                self.work_s += lengths[record.epoch - 1]
            self.at(self.now_s + clock, gpu, {"records": [row_of(record)]})
        self.at(self.now_s + clock, gpu, {"records": None})

    def heard(self) -> Sequence[tuple[Worker, Sequence[Mapping[str, Any]] | None]]:
        self.now_s, _, gpu, message = heapq.heappop(self.events)
        return [(gpu, None if message is None else [message])]

    def bury(self, worker: Any, *, at_once: bool = False) -> str:
        self.losses += 1
        return "its node was lost"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", default="1000,2000,5000,10000")
    parser.add_argument("--per-gpu", type=int, default=10)
    parser.add_argument("--slower", type=float, default=100.0)
    asked = parser.parse_args()
    columns = (
        "trials", "GPUs", "lost", "makespan, min", "over ideal", "with foresight", "driver, CPU s",
        "ms a trial", "cores", "peak MB", "open", "plan", "refresh", "report", "MB on disk",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{'---:|' * len(columns)}")
    with tempfile.TemporaryDirectory() as scratch:
        for trials in map(int, asked.trials.split(",")):
            row = simulated(
                Path(scratch) / str(trials), trials, trials // asked.per_gpu, asked.slower
            )
            print(f"| {' | '.join(row)} |", flush=True)


def simulated(path: Path, trials: int, gpus: int, slower: float) -> list[str]:
    spec, run = begun(path, trials, epochs=5)
    with RECORDED.open(newline="") as file:
        epochs_s = [slower * float(row["train_s"]) for row in csv.DictReader(file)]
    bench = Workbench(Recipe(dataset="synthetic", model="mlp"), Host(device="cpu", threads=1))
    crew = Simulated(bench, run, gpus, None, None, epochs_s=epochs_s)
    cpu_s = time.process_time()
    trained, foreseen_s = 0, 0.0
    while stage := plan(spec, run.histories, {}, {BATCH: STEPS}).trials:
        trained += len(stage)
        for trial, records in crew.train(stage):
            run.note(trial, records)
        foreseen_s += longest_first([crew.lengths_s[trial.id] for trial in stage], gpus)
    cpu_s = time.process_time() - cpu_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size_mb = sum(file.stat().st_blocks * 512 for file in path.rglob("*")) / 1e6
    ideal_s = crew.work_s / gpus
    return [
        str(trained), str(gpus), str(crew.losses), f"{crew.now_s / 60:.1f}",
        f"{100 * (crew.now_s / ideal_s - 1):.1f} %", f"{100 * (foreseen_s / ideal_s - 1):.1f} %",
        f"{cpu_s:.1f}", f"{1000 * cpu_s / trained:.2f}", f"{cpu_s / crew.now_s:.3f}",
        f"{peak_mb:.0f}", *(f"{s:.2f}" for s in seconds(path)), f"{size_mb:.0f}",
    ]  # fmt: skip


def longest_first(lengths_s: Sequence[float], gpus: int) -> float:
    """When the last of these trials ends, if their lengths are known when the first begins."""
    free_s = [0.0] * gpus
    for length_s in sorted(lengths_s, reverse=True):
        heapq.heapreplace(free_s, free_s[0] + length_s)
    return max(free_s)


if __name__ == "__main__":
    main()
