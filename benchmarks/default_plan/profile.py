"""Where the time of the default comparison goes.

python benchmarks/default_plan/profile.py [PROGRAM]     # another lrbench to compare with
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def parts(run: Path, began: float, ended: float) -> dict[str, float]:
    """The seconds of a finished run by what they were spent on. Trainings that run in parallel
    count by their share of the cores: with one thread on two cores, a second as half of one."""
    with (run / "trials.csv").open(newline="") as file:
        train_s = {row["trial"]: float(row["train_s"]) for row in csv.DictReader(file)}
    done = {name: (run / "trials" / name / "journal.jsonl").stat().st_mtime for name in train_s}
    first = min(done[name] - train_s[name] for name in done)
    threads = json.loads((run / "manifest.json").read_text())["threads"]
    training = sum(train_s.values()) * threads / len(os.sched_getaffinity(0))
    return {
        "start, data, range test": first - began,
        "training steps of trials": training,
        "evaluation, records, waiting": max(done.values()) - first - training,
        "tables, plots, page": ended - max(done.values()),
    }


def main() -> None:
    program = sys.argv[1] if len(sys.argv) > 1 else "lrbench"
    with tempfile.TemporaryDirectory() as folder:
        run, began = Path(folder) / "run", time.time()
        subprocess.run([program, "compare", "--quiet", "--out", str(run)], check=True)
        spent = parts(run, began, time.time())
    total = sum(spent.values())
    print("\n| part | s | share, % |\n|---|---|---|")
    for name, seconds in (*spent.items(), ("all", total)):
        print(f"| {name} | {seconds:.1f} | {100 * seconds / total:.0f} |")


if __name__ == "__main__":
    main()
