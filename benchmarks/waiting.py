"""How long torch's threads should spin: LeNet on two threads under each setting, alone, next to a
process that keeps one core busy, and next to another such training. Prints a table of milliseconds
per step, the median of interleaved rounds with its range. Takes five minutes.

    python -m benchmarks.waiting
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable

from lrbench.engine.device import BRIEFLY

SETTINGS = {
    "as libgomp does by itself": {},
    "asleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
    "1,000 spins, then asleep: lrbench": BRIEFLY,
}
ROUNDS, EPOCHS = 5, 3


def step_ms() -> float:
    """Of the engine's trials of LeNet on mnist5k, after an epoch that warms up."""
    from benchmarks.loops import Loop, Work, timed, trainer

    recipe = {"dataset": "mnist5k", "model": "lenet", "batch_size": 128}
    train = trainer(Work(recipe, "cpu", 2, 4000), Loop("engine"))
    train(1)
    found = timed(train, EPOCHS, "cpu")
    return 1e3 * found["wall_s"] * 128 / found["images"]


def measured(setting: dict[str, str], copies: int = 1) -> float:
    """The mean of some at once, in processes of their own: torch reads its environment once."""
    plain = {k: v for k, v in os.environ.items() if k not in BRIEFLY and k != "OMP_NUM_THREADS"}
    command, env = [sys.executable, "-m", "benchmarks.waiting", "once"], {**plain, **setting}
    runs = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(copies)]
    return statistics.mean(float(run.communicate()[0]) for run in runs)


def beside_a_loop(setting: dict[str, str]) -> float:
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        return measured(setting)
    finally:
        loop.kill()
        loop.wait()


LOADS: dict[str, Callable[[dict[str, str]], float]] = {
    "nothing else runs": measured,
    "one core is busy": beside_a_loop,
    "another such training": lambda setting: measured(setting, copies=2),
}


def main() -> None:
    print(f"| threads wait | {' | '.join(LOADS)} |\n|---{'|---' * len(LOADS)}|")
    rounds = [
        {(name, load): run(setting) for load, run in LOADS.items() for name, setting in
         SETTINGS.items()}
        for _ in range(ROUNDS)
    ]  # fmt: skip
    for name in SETTINGS:
        row = [[each[name, load] for each in rounds] for load in LOADS]
        cells = [f"{statistics.median(c):.1f} ({min(c):.1f}–{max(c):.1f}) ms" for c in row]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    print(step_ms()) if sys.argv[1:] == ["once"] else main()
