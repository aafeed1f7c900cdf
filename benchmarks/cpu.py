"""The CPU table: the engine against training loops written by hand.

    python -m benchmarks.cpu --threads 2 --csv cpu.csv
    python -m benchmarks.cpu --quick --threads 1

Every loop runs in a process of its own and waits for its turn; in each round all of them train the
same epochs. Figures are medians over the rounds, with the lowest and the highest in brackets.
"""

import argparse
import csv
from pathlib import Path

from benchmarks.loops import Loop, Timing, Work, race, ratio
from lrbench.engine.device import default_threads

LOOPS = [
    Loop("engine"),
    *(Loop(f"plain loop, {n} workers", "reference", workers=n) for n in (0, 2)),
    *(Loop(f"tuned loop, {n} workers", "tuned", workers=n) for n in (0, 2)),
    Loop("steps alone, nothing loaded", "steps"),
    Loop("engine, 2 trials at once", processes=2),
]
COLUMNS = (
    "name", "images_s", "cpu_us_image", "engine_over_it", "lowest", "highest", "rounds",
    "setup_s", "first_epoch_s", "fault",
)  # fmt: skip


def rows(timings: list[Timing]) -> list[dict[str, object]]:
    """One row per loop; ratios are the engine's images per second over the loop's."""
    found = []
    for timing in timings:
        row: dict[str, object] = {
            "name": timing.loop.name, "cpu_us_image": timing.cpu_us_image,
            "setup_s": timing.setup_s, "first_epoch_s": timing.first_epoch_s,
            "rounds": len(timing.images_s), "fault": timing.fault,
        }  # fmt: skip
        if timing.images_s:
            middle, low, high = ratio(timings[0], timing)
            speed = sorted(timing.images_s)[len(timing.images_s) // 2]
            row |= {"images_s": speed, "engine_over_it": middle, "lowest": low, "highest": high}
        found.append(row)
    return found


def shown(row: dict[str, object]) -> str:
    if row["fault"]:
        return f"{row['name']:<28} {row['fault']}"
    return (
        "{name:<28} {images_s:>9,.0f} img/s   engine over it: "
        "{engine_over_it:.2f} ({lowest:.2f}-{highest:.2f})".format(**row)
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The engine against loops by hand, on a CPU.")
    parser.add_argument("--model", default="lenet")
    parser.add_argument("--dataset", default="mnist5k")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--quick", action="store_true", help="two short rounds, few images")
    given = parser.parse_args(arguments)
    recipe = {"model": given.model, "dataset": given.dataset, "batch_size": given.batch_size}
    work = Work(recipe, "cpu", given.threads, 600 if given.quick else 4000)
    rounds, round_s = (2, 0.1) if given.quick else (given.rounds, 2.0)
    found = rows(race(work, LOOPS, rounds, round_s, print))
    print("\n" + "\n".join(map(shown, found)))
    if given.csv:
        with given.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(found)


if __name__ == "__main__":
    main()
