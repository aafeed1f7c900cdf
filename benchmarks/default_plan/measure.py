"""The default comparison over several base seeds: does it conclude, and how long does it take?

python benchmarks/default_plan/measure.py [RUNS] [FOLDER]     # about two minutes a run on two cores
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STRIDE = 100  # between base seeds, so that no two runs share a seed
DECAYING = {"cosine", "warmup + cosine", "onecycle"}


def compared(seed: int, folder: Path) -> tuple[dict[str, Any], float]:
    """What one default comparison found, and its seconds from the command to the report."""
    began_s = time.perf_counter()
    command = ["lrbench", "compare", "--seed", str(seed), "--json", "--quiet"]
    run = subprocess.run(
        [*command, "--out", str(folder / str(seed))], check=True, capture_output=True, text=True
    )
    return json.loads(run.stdout), time.perf_counter() - began_s


def row(seed: int, found: dict[str, Any], wall_s: float) -> str:
    ranking = found["ranking"]
    better = [name for name, *worse in found["told_apart"] if "constant" in worse]
    lrs = ", ".join(f"{each['schedule']} {each['lr']:g}" for each in ranking)
    concluded = "yes" if DECAYING & set(better) else "no"
    worst = min(each["worst_seed"] for each in ranking)
    return (
        f"| {seed} | {wall_s:.0f} | {found['sentence']} | {concluded} | {100 * worst:.1f} | {lrs} "
        f"| {len(found['notices'])} |"
    )


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    print("| seed | s | answer | decay to zero beats constant | worst final, % | LRs | notices |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(0, runs * STRIDE, STRIDE):
        print(row(seed, *compared(seed, folder)), flush=True)


if __name__ == "__main__":
    main()
