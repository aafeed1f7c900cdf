"""Several trials at a time against one after the other: the whole command, and a worker's start.

    python -m benchmarks.executors [--rounds 3] [--threads 2] [-- more options of lrbench compare]

The default comparison, or what the options make of it, is run by `--executor serial` with all
threads and by `--executor pool` with one thread a trial, in turns, so that a machine that slows
down affects both sides. Use a quiet machine.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lrbench.execute import Host, Workbench
from lrbench.execute.pool import Processes
from lrbench.options import Recipe
from lrbench.run.store import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("options", nargs="*")
    asked = parser.parse_args()
    first_s, further_s = starts_s(asked.threads)
    print(f"first worker: {first_s:.2f} s; a further one: {1000 * further_s:.0f} ms")
    ways = {
        "serial": ["--executor", "serial", "--threads", str(asked.threads)],
        "pool": ["--executor", "pool", "--jobs", str(asked.threads), "--threads", "1"],
    }
    print("| round | serial, s | pool, s | serial / pool |\n|---:|---:|---:|---:|", flush=True)
    ratios = []
    for number in range(1, asked.rounds + 1):
        order = list(ways) if number % 2 else list(ways)[::-1]
        wall = {way: wall_s([*asked.options, *ways[way]]) for way in order}
        ratios.append(wall["serial"] / wall["pool"])
        print(
            f"| {number} | {wall['serial']:.1f} | {wall['pool']:.1f} | {ratios[-1]:.2f} |",
            flush=True,
        )
    if ratios:
        print(f"median: {statistics.median(ratios):.2f}")


def starts_s(jobs: int) -> tuple[float, float]:
    """Until the first worker is ready, and the median of further ones."""
    bench = Workbench(Recipe(), Host(device="cpu", threads=1, jobs=jobs))
    bench.open()
    found = []
    with tempfile.TemporaryDirectory() as folder, Processes(bench, Run(Path(folder)), 1) as crew:
        for _ in range(6):
            began_s = time.perf_counter()
            crew.workers.append(crew.hire())
            while not any("ready" in m for _, messages in crew.heard() for m in messages or ()):
                pass
            found.append(time.perf_counter() - began_s)
    return found[0], statistics.median(found[1:])


def wall_s(options: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lrbench", "compare", "--quiet", "--out", folder, *options]
        began_s = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began_s


if __name__ == "__main__":
    main()
