"""What the statistics promise, measured where the truth is known, through the product's functions.

    OMP_NUM_THREADS=1 nice -n 10 python benchmarks/statistics/measure.py > tables.md

prints five tables as Markdown: false claims and power of the test over all pairs, equivalence, the
choice of the LR, racing, and ranges of seeds. No torch, two processes, a few minutes; `--share 0.1`
takes a tenth of the repetitions, `--only race` makes one table.
"""

import argparse
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from multiprocessing import Pool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from worlds import CHANCE, PLACES, WORLDS, Floats, World, draw_losses, draw_trials, draw_truth

from lrbench.analysis.corrections import ahead, holm_pairs
from lrbench.analysis.evidence import seeds_needed, seeds_range
from lrbench.analysis.intervals import compare_pairs, t_intervals
from lrbench.analysis.racing import race, spending
from lrbench.analysis.verdicts import judge
from lrbench.options import CompareSpec
from lrbench.plan.choice import Tuned, choose

ALPHA = 0.05
MNIST_SDS = np.array([0.082, 0.130, 0.045, 0.054, 0.055, 0.083, 0.101, 0.117])
"""Points; the sds over seeds of eight schedules in a run on MNIST, best schedule first."""
NOISES = ("normal", "MNIST", "t3")
MOST = 20
RACE = CompareSpec(race=True, most_seeds=MOST).looks
GROWN = "5+12+20"
Result = dict[str, float]


class Job(NamedTuple):
    table: str
    key: tuple[Any, ...]
    repetitions: int


def draw(noise: str, n: int, means: Floats, rng: np.random.Generator) -> Floats:
    """Finals, seeds x schedules: a seed's part that all share, and one of each schedule's own, so
    that the sd of a paired difference is √2 in the mean of the pairs."""
    k = len(means)
    own = rng.standard_t(3, (n, k)) / math.sqrt(3) if noise == "t3" else rng.standard_normal((n, k))
    sds = np.ones(k)
    if noise == "MNIST":
        sds = MNIST_SDS[np.linspace(0, len(MNIST_SDS) - 1, k).round().astype(int)]
        sds = sds / math.sqrt((sds**2).mean())
    return np.asarray(means + rng.standard_normal((n, 1)) + own * sds)


def means_of(truth: str, k: int) -> Floats:
    """In sds of a paired difference: all equal, two far apart blocks of equals, the best ahead by
    so many, or so many between neighbours."""
    kind, _, size = truth.partition(" ")
    means = np.zeros(k)
    if kind == "blocks":
        means[: k // 2] = 20.0
    elif kind == "lead":
        means[0] = float(size)
    elif kind == "spread":
        means = -np.arange(k) * float(size)
    return np.asarray(means * math.sqrt(2))


def test_once(noise: str, truth: str, k: int, n: int, rng: np.random.Generator) -> Result:
    """One run, judged by Holm and by Bergmann-Hommel."""
    means = means_of(truth, k)
    verdicts = judge(draw(noise, n, means, rng), 0.0, ALPHA, 1)
    pairs, intervals, told = verdicts.pairs, verdicts.intervals, verdicts.better
    true = means[:, None] - means
    found: Result = {}
    by_holm = ahead(pairs.mean, holm_pairs(verdicts.p), ALPHA)
    for name, better in (("Holm", by_holm), ("all pairs", told)):
        found[f"{name} false"] = float((better & (true <= 0)).any())
        found[f"{name} wins"] = float(better[0, 1:].all())
        found[f"{name} power"] = float(better[0, 1:].mean())
    off = ~np.eye(k, dtype=bool)
    missed = (true < intervals.low) | (true > intervals.high)
    found["interval missed"] = float(missed[off].any())
    level = np.array(verdicts.level)
    plain = t_intervals(pairs.mean, pairs.sd, pairs.n, np.zeros_like(told), level)
    found["plain missed"] = float(((true < plain.low) | (true > plain.high))[off].any())
    found["within missed"] = float((np.abs(true) > intervals.within)[off].any())
    zero = (intervals.low > 0) | (intervals.high < 0)
    found["contradicted"] = float((zero & ~(told | told.T))[off].any())
    return found


def equal_once(n: int, gap: float, k: int, rng: np.random.Generator) -> Result:
    """Two one-sided tests at a margin of one sd of a paired difference, all schedules `gap` sds
    apart from the first."""
    means = np.zeros(k)
    means[1:] = gap * math.sqrt(2)
    told = judge(draw("normal", n, means, rng), 0.0, ALPHA, 1, margin=math.sqrt(2)).equal
    assert told is not None
    return {
        "false": float(told[0, 1:].any()),
        "power": float(told[1:, 1:].sum() / ((k - 1) * (k - 2))),
    }


def race_once(design: str, noise: str, truth: str, k: int, rng: np.random.Generator) -> Result:
    """A race (to a reference, the last schedule, which is not the best), a run that grew, or a
    fixed number of seeds."""
    racing = design.startswith("race")
    looks = spending(RACE if racing else tuple(map(int, design.split("+"))), race=racing)
    means = means_of(truth, k)
    values = draw(noise, looks.seeds[-1], means, rng)
    reference = k - 1 if design == "race to reference" else None
    done = np.ones(values.shape, dtype=bool)
    result = race(values, done, looks, ALPHA, reference=reference)
    verdicts = judge(values, 0.0, ALPHA, 1, course=result)
    true, intervals = means[:, None] - means, verdicts.intervals
    with np.errstate(invalid="ignore"):
        missed = (true < intervals.low) | (true > intervals.high)
    false = result.better & (true <= 0)
    return {
        "false": float(false.any()),
        "wins": float(result.better[0, 1:].all()),
        "trainings": float(result.wanted.sum()),
        "missed": float(missed.any()),
    }


def best_mean(values: Floats, fell: NDArray[np.bool_], losses: Floats) -> NDArray[np.int64]:
    return values.mean(axis=0).argmax(axis=1)


def pooled(values: Floats, fell: NDArray[np.bool_], losses: Floats) -> NDArray[np.int64]:
    """The product's choice."""
    seeds, k, places = values.shape
    trials = [
        Tuned(str(name), place, 2.0**place, seed, value, loss)
        for seed in range(seeds)
        for name in range(k)
        for place in range(places)
        for value, loss in [(float(values[seed, name, place]), float(losses[seed, name, place]))]
    ]
    chosen = choose(trials, CHANCE)
    return np.array([chosen[str(name)].place for name in range(k)])


RULES: dict[str, Callable[..., NDArray[np.int64]]] = {"best mean": best_mean, "pooled": pooled}


def choice_once(
    rule: str, world: World, seeds: int, rng: np.random.Generator, k: int = 6
) -> Result:
    """Regret in points over all schedules, and whether 20 final seeds tell schedules 0 and 1, which
    are the same, apart: by those that did not collapse, and by all."""
    truth = draw_truth(world, k, rng)
    everywhere = np.tile(np.arange(PLACES), (k, 1))
    values, fell = draw_trials(world, truth, everywhere, seeds, rng)
    places = RULES[rule](values, fell, draw_losses(world, truth, values, fell, rng))
    lost = truth.expected.max(axis=1) - truth.expected[np.arange(k), places]
    finals, fell = draw_trials(world, truth, places[:, None], 20, rng, final=True)
    values = finals[:, :2, 0]
    sound = np.where(fell[:, :2, 0].any(axis=1)[:, None], np.nan, values)
    apart = [
        float(np.nan_to_num(compare_pairs(each).p[0, 1], nan=1.0) < ALPHA)
        for each in (sound, values)
    ]
    return {"regret": float(lost.mean()), "apart": apart[0], "apart with collapses": apart[1]}


def range_once(effect: float, n: int, rng: np.random.Generator) -> Result:
    """Whether the range of seeds holds the number that is truly needed."""
    d = effect + rng.standard_normal(n)
    found = seeds_range(float(d.mean()), float(d.std(ddof=1)), n, ALPHA)
    needed = seeds_needed(effect, 1.0, ALPHA) or 0
    low, high = found or (0, None)
    return {
        "held": float(low <= needed and (high is None or needed <= high)),
        "open": float(high is None),
    }


ONCE: dict[str, Callable[..., Result]] = {
    "test": test_once, "equal": equal_once, "race": race_once,
    "choice": lambda rule, world, seeds, rng: choice_once(rule, WORLDS[world], seeds, rng),
    "range": range_once,
}  # fmt: skip


def run(job: Job) -> tuple[Job, Result]:
    """The means of all repetitions, and the standard error of the first of them as `±`."""
    rng = np.random.default_rng(list(repr(job[:2]).encode()))
    found = [ONCE[job.table](*job.key, rng) for _ in range(job.repetitions)]
    columns = {name: np.array([each[name] for each in found]) for name in found[0]}
    result = {name: float(column.mean()) for name, column in columns.items()}
    first = next(iter(columns.values()))
    return job, {**result, "±": float(first.std() / math.sqrt(len(first)))}


def jobs(share: float) -> list[Job]:
    def times(count: int) -> int:
        return max(20, round(count * share))

    nulls, sizes, seeds = ("equal", "blocks"), (4, 6, 8), (3, 5, 10)
    listed = [
        Job("test", (noise, truth, k, n), times(4000 if k < 8 else 2000))
        for k in sizes for n in seeds
        for noise, truth in [*((x, y) for x in NOISES for y in nulls), ("MNIST", "lead 2")]
    ]  # fmt: skip
    listed += [Job("equal", (n, gap, 6), times(3000)) for n in (5, 10, 20) for gap in (0.0, 1.0)]
    truths = ("lead 1", "lead 2", "spread 1")
    designs = ("race", *map(str, range(5, MOST + 1)))
    listed += [Job("race", ("race", x, y, 6), times(6000)) for x in NOISES for y in nulls]
    listed += [Job("race", (x, "MNIST", y, 6), times(3000)) for x in designs for y in truths]
    listed += [
        Job("race", (design, x, y, 6), times(6000))
        for design in ("race to reference", GROWN)
        for x in NOISES
        for y in nulls
    ]
    listed += [Job("race", ("20", "MNIST", "equal", 6), times(6000))]
    listed += [Job("race", ("race to reference", "MNIST", y, 6), times(3000)) for y in truths]
    listed += [
        Job("choice", (rule, world, n), times(4000))
        for world in WORLDS
        for rule in RULES
        for n in (1, 2, 3)
    ]
    return listed + [Job("range", (x, n), times(2000)) for x in (0.5, 0.7, 1.0) for n in (5, 10)]


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
    return "\n".join([f"\n### {title}\n", *lines])


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def tables() -> dict[str, Callable[[dict[tuple[Any, ...], Result]], str]]:
    return {
        "test": test_table,
        "equal": equal_table,
        "choice": choice_table,
        "race": race_table,
        "range": range_table,
    }


def test_table(found: dict[tuple[Any, ...], Result]) -> str:
    rows = []
    for k in (4, 6, 8):
        for n in (3, 5, 10):
            nulls = [found["test", x, y, k, n] for x in NOISES for y in ("equal", "blocks")]
            lead = found["test", "MNIST", "lead 2", k, n]
            worst = {name: percent(max(null[name] for null in nulls)) for name in nulls[0]}
            rows.append([
                str(k), str(n), worst["Holm false"], worst["all pairs false"],
                percent(lead["Holm power"]), percent(lead["all pairs power"]),
                percent(lead["Holm wins"]), percent(lead["all pairs wins"]),
                worst["plain missed"], worst["interval missed"], worst["within missed"],
                worst["contradicted"],
            ])  # fmt: skip
    heads = ["k", "n", "false: Holm", "false: all pairs", "power: Holm", "power: all pairs",
             "ahead of all: Holm", "ahead of all: all pairs", "plain interval missed",
             "interval missed", "within missed", "against verdict"]  # fmt: skip
    return table(
        "All pairs: per cent of runs, the worst of three noises and two nulls", heads, rows
    )


def equal_table(found: dict[tuple[Any, ...], Result]) -> str:
    rows = [
        [
            str(n),
            percent(found["equal", n, 1.0, 6]["false"]),
            percent(found["equal", n, 0.0, 6]["power"]),
        ]
        for n in (5, 10, 20)
    ]
    return table(
        "Equivalence, margin 1 sd, k = 6: per cent", ["n", "false at the margin", "power"], rows
    )


def choice_table(found: dict[tuple[Any, ...], Result]) -> str:
    rows = []
    for world in WORLDS:
        for rule in RULES:
            for n in (1, 2, 3):
                cell = found["choice", rule, world, n]
                rows.append([
                    world, rule, str(n), f"{cell['regret']:.3f} ± {cell['±']:.3f}",
                    f"{cell['apart']:.3f}", f"{cell['apart with collapses']:.3f}",
                ])  # fmt: skip
    heads = ["world", "rule", "tuning seeds", "regret, points", "identical apart", "with collapses"]
    return table("The choice of the LR", heads, rows)


def race_table(found: dict[tuple[Any, ...], Result]) -> str:
    rows = []
    nulls = [(x, y) for x in NOISES for y in ("equal", "blocks")]
    for design in ("race", "race to reference", GROWN):
        for noise, truth in nulls:
            cell = found["race", design, noise, truth, 6]
            rows.append(race_row(design, f"{truth}, {noise}", cell))
    fixed20 = found["race", "20", "MNIST", "equal", 6]
    rows.append(race_row("20 seeds", "equal, MNIST", fixed20))
    for truth in ("lead 1", "lead 2", "spread 1"):
        raced = found["race", "race", "MNIST", truth, 6]
        fixed = {n: found["race", str(n), "MNIST", truth, 6]["wins"] for n in range(5, MOST + 1)}
        n = next((n for n in fixed if fixed[n] >= raced["wins"]), MOST)
        saved = f"{100 * (1 - raced['trainings'] / (6 * n)):.0f}"
        row = race_row("race", f"{truth}, MNIST", raced)
        rows.append([*row[:4], percent(raced["wins"]), row[5], f"{n} seeds, {6 * n}", saved])
        to_one = found["race", "race to reference", "MNIST", truth, 6]
        rows.append(race_row("race to reference", f"{truth}, MNIST", to_one))
    heads = ["design", "truth, noise", "false, %", "interval missed, %", "wins, %", "trainings",
             "fixed of equal power", "saved, %"]  # fmt: skip
    return table("Racing six schedules, looks at 5, 8, 12, 20 seeds", heads, rows)


def race_row(design: str, world: str, cell: Result) -> list[str]:
    return [design, world, percent(cell["false"]), percent(cell["missed"]), "",
            f"{cell['trainings']:.0f}", "", ""]  # fmt: skip


def range_table(found: dict[tuple[Any, ...], Result]) -> str:
    rows = [
        [f"{x}", str(n), str(seeds_needed(x, 1.0, ALPHA)), percent(found["range", x, n]["held"]),
         percent(found["range", x, n]["open"])]
        for x in (0.5, 0.7, 1.0) for n in (5, 10)
    ]  # fmt: skip
    heads = [
        "true difference, sd",
        "seeds so far",
        "seeds needed",
        "range holds it, %",
        "no upper end, %",
    ]
    return table("Seeds needed, as a range of 80 %", heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", choices=tuple(tables()), help="one of the tables")
    options = parser.parse_args()
    started = time.monotonic()
    wanted = [options.only] if options.only else list(tables())
    listed = [job for job in jobs(options.share) if job.table in wanted]
    listed.sort(key=lambda job: -job.repetitions)
    with Pool(options.processes) as pool:
        done = list(pool.imap_unordered(run, listed))
    found = {(job.table, *job.key): result for job, result in done}
    import scipy

    versions = (
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    )
    minutes = (time.monotonic() - started) / 60
    print(f"Made on {date.today()} in {minutes:.0f} minutes with {versions}.")
    for name in wanted:
        print(tables()[name](found))


if __name__ == "__main__":
    main()
