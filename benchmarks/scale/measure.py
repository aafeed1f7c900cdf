"""What a run costs apart from training, by its number of trials: open, plan, refresh, report.

    python benchmarks/scale/measure.py [--trials 250,500,1000,2000] [--epochs 5] [--folder DIR]

Trials are invented (`--executor mock` uses the same numbers) and go through lrbench's own store,
planner, analysis and report. The table is Markdown. Seconds are of CPU time, the quicker of two, so
that a busy machine does not matter.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lrbench.__main__ import run as command
from lrbench.execute.mock import STEPS, invented
from lrbench.options import CompareSpec, Recipe
from lrbench.plan import plan
from lrbench.report import write_csv
from lrbench.run.store import Run
from lrbench.session.recorded import recorded, summarised

SCHEDULES = ("constant", "cosine", "linear", "step", "exponential")
LRS = (0.05, 0.1, 0.2)
BATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", default="250,500,1000,2000")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print("| trials | open | plan | refresh | report |\n|---:|---:|---:|---:|---:|")
        for trials in map(int, asked.trials.split(",")):
            path = (asked.folder or Path(scratch)) / f"{trials}-trials"
            made(path, trials, asked.epochs)
            cells = (str(trials), *(f"{s:.2f}" for s in seconds(path)))
            print(f"| {' | '.join(cells)} |", flush=True)


def made(path: Path, trials: int, epochs: int) -> None:
    """A finished run of about so many trials."""
    spec, run = begun(path, trials, epochs)
    while stage := plan(spec, run.histories, {}, {BATCH: STEPS}).trials:
        for trial in stage:
            records = list(invented(trial))
            run.begin(trial)
            run.append(trial.id, records)
            run.note(trial, records)


def begun(path: Path, trials: int, epochs: int) -> tuple[CompareSpec, Run]:
    """A comparison of about so many trials, half of them tuning, half final; none is trained."""
    spec = CompareSpec(
        recipe=Recipe(dataset="synthetic", model="mlp"),
        schedules=SCHEDULES,
        lrs=LRS,
        epochs=epochs,
        tuning_seeds=max(1, trials // 2 // len(SCHEDULES) // len(LRS)),
        seeds=max(1, trials // 2 // len(SCHEDULES)),
    )
    run = Run(path)
    run.write_manifest(
        {
            "command": "compare", "experiment": spec.model_dump(mode="json"),
            "fingerprint": spec.fingerprint, "steps_per_epoch": STEPS, "material": "",
            "code": {}, "data": {"test": 1000, "val": 500, "classes": 10}, "lrbench": "",
            "machine": {}, "device": "mock", "threads": 1,
        }
    )  # fmt: skip
    return spec, run


def seconds(path: Path) -> list[float]:
    """To open the run, to plan, to refresh its CSV files, to report it whole."""
    run = opened(path)
    spec = recorded(run)

    def report() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            if code := command(["report", str(path)]):
                sys.exit(code)

    return [
        timed(lambda: opened(path)),
        timed(lambda: plan(spec, run.histories, run.finds, {BATCH: STEPS})),
        timed(lambda: write_csv.write(summarised(spec, run), path)),
        timed(report),
    ]


def opened(path: Path) -> Run:
    run = Run(path)
    assert run.manifest and run.histories
    return run


def timed(what: Callable[[], object]) -> float:
    found = []
    for _ in range(2):
        began = time.process_time()
        what()
        found.append(time.process_time() - began)
    return min(found)


if __name__ == "__main__":
    main()
