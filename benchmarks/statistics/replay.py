"""Replay a race on the records of a finished run: what it would have said, and trained.

    python benchmarks/statistics/replay.py results/compare-mnist5k-lenet

reads `trials.csv` and the manifest, and prints a row of a Markdown table for each ranking. The last
look is at all seeds that the run has.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from lrbench.analysis.standing import Standing, standings
from lrbench.analysis.words import told_apart
from lrbench.run.store import Run
from lrbench.session.recorded import question_of, recorded

HEADS = ("run", "trainings", "raced", "saved, %", "looks", "told apart by all", "by the race")


def replayed(path: Path) -> Iterator[tuple[Standing, Standing]]:
    """Each ranking as it is, and as a race would have ended it."""
    run = Run(path)
    spec = recorded(run)
    trials = pd.read_csv(path / "trials.csv")
    data = (run.manifest or {}).get("data", {})
    raced = spec.model_copy(update={"race": True, "most_seeds": spec.seeds})
    whole, race = (standings(trials, question_of(each, data)) for each in (spec, raced))
    return zip(whole, race, strict=True)


def row(path: Path, whole: Standing, raced: Standing) -> tuple[str, ...]:
    course = raced.verdicts.race
    assert course is not None and course.next_seeds is None, "the run is not complete"
    trained, full = int(course.wanted.sum()), int((whole.counts + whole.lost).sum())
    looks = ", ".join(map(str, course.looks.seeds[: course.looked]))
    saved = f"{100 * (1 - trained / full):.0f}"
    claims = [told_apart(each) or "none" for each in (whole, raced)]
    return (path.name, str(full), str(trained), saved, looks, *claims)


def main(paths: list[str]) -> None:
    for cells in (HEADS, ("---",) * len(HEADS)):
        print(f"| {' | '.join(cells)} |")
    for path in map(Path, paths):
        for whole, raced in replayed(path):
            print(f"| {' | '.join(row(path, whole, raced))} |")


if __name__ == "__main__":
    main(sys.argv[1:])
