"""What the driver of `--executor ray` costs a trial: 500 tiny ones over 4 workers of one machine.

    python -m benchmarks.scale.ray_driver [--trials 100,500] [--workers 4]

Each trial trains ten steps of a linear layer. CPU milliseconds are of the driver's process alone;
its memory is read after a tenth of the trials and at the end.
"""

import argparse
import tempfile
import time
from pathlib import Path

from lrbench.execute import Host, Workbench
from lrbench.execute.cluster import cluster
from lrbench.options import Recipe, TrialSpec
from lrbench.records import TrialEnd
from lrbench.run.store import Run

TASK = Recipe(task="benchmarks.scale.tiny:Tiny", dataset="", model="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", default="100,500")
    parser.add_argument("--workers", type=int, default=4)
    asked = parser.parse_args()
    host = Host(device="cpu", threads=1, jobs=asked.workers, executor="ray", address="local")
    bench = Workbench(TASK, host)
    bench.open()
    print("| trials | CPU ms a trial | MB after a tenth | MB at the end |\n|---:|---:|---:|---:|")
    for count in map(int, asked.trials.split(",")):
        with tempfile.TemporaryDirectory() as folder, cluster(bench, Run(Path(folder))) as train:
            measured(train, count)


def measured(train: object, count: int) -> None:
    trials = [
        TrialSpec(recipe=TASK, schedule="constant", lr=0.1, seed=seed, stage="tune", epochs=1)
        for seed in range(count + 1)
    ]
    assert callable(train)
    list(train(trials[:1]))  # the workers start
    ended, early_mb, began_s = 0, 0.0, time.process_time()
    for _, records in train(trials[1:]):
        ended += any(isinstance(record, TrialEnd) for record in records)
        early_mb = early_mb or (resident_mb() if ended >= count // 10 else 0.0)
    spent_ms = 1000 * (time.process_time() - began_s) / count
    print(f"| {count} | {spent_ms:.2f} | {early_mb:.0f} | {resident_mb():.0f} |", flush=True)


def resident_mb() -> float:
    """Of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


if __name__ == "__main__":
    main()
