"""Histories and frames with numbers that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lrbench.analysis import Question, Summary, summarise
from lrbench.analysis.corrections import Floats
from lrbench.analysis.frames import trials_frame
from lrbench.analysis.standing import Standing, standings
from lrbench.options import TUNING_SEED, Recipe, TrialSpec
from lrbench.plan.choice import Tuned, choose
from lrbench.records import EpochRecord, History, Status, TrialEnd

if TYPE_CHECKING:
    from pandas import DataFrame

STEPS = 10
GRID = 0.01 * 2.0 ** np.arange(8)
FINE = Question(test_size=10**6)
WIDE = Question(test_size=10_000)


def spec(schedule: str, lr: float, seed: int, stage: str, epochs: int) -> TrialSpec:
    """A trial of a schedule of any name, sensible or not."""
    return TrialSpec.model_construct(
        recipe=Recipe(), schedule=schedule, lr=lr, seed=seed, stage=stage, epochs=epochs,
        lr_reference=None,
    )  # fmt: skip


def history(
    schedule: str = "cosine",
    final: float = 0.9,
    *,
    lr: float = 0.1,
    seed: int = 0,
    stage: Literal["tune", "final"] = "final",
    curve: Sequence[float] | None = None,
    status: Status | None = "done",
    epochs: int = 2,
    accuracy: bool = True,
) -> History:
    """A trial whose validation accuracies are `curve` and whose test accuracy is `final`; losses
    are twice the errors. Each epoch takes 2 s; the untrained loss is 2. Without a status it has
    not ended."""
    trial = spec(schedule, lr, seed, stage, epochs)
    heights = list(curve if curve is not None else [final] * epochs)
    if status in ("diverged", "failed"):
        heights = heights[:-1]
    records = tuple(
        EpochRecord(
            trial.id, place, place * STEPS, lr, lr / 2, 2 * (1 - height), height + 0.01,
            2 * (1 - height), height if accuracy else None, 2.0, 1000.0,
        )
        for place, height in enumerate(heights, 1)
    )  # fmt: skip
    if status is None:
        return History(trial, records)
    tested = status == "done" and stage == "final"
    reason = "" if status == "done" else "the loss was not finite at step 13 (epoch 2)"
    end = TrialEnd(
        trial.id, status, reason, len(records), len(records) * STEPS, 2.0,
        2 * (1 - final) if tested else None, final if tested and accuracy else None,
        2.0 * len(records), 1000.0,
    )  # fmt: skip
    return History(trial, records, end=end)


def finals(values: Mapping[str, Sequence[float | None]], **changes: Any) -> list[History]:
    """Final trials, one for each value; None is a seed that diverged."""
    return [
        history(name, value or 0.1, seed=seed, status="done" if value else "diverged", **changes)
        for name, column in values.items()
        for seed, value in enumerate(column)
    ]


def tuned(name: str, grid: Mapping[float, float | None], **changes: Any) -> list[History]:
    """Tuning trials of a schedule: LR to last validation accuracy, None where it diverged."""
    return [
        history(
            name, value or 0.1, lr=lr, seed=TUNING_SEED, stage="tune",
            status="done" if value else "diverged", **changes,
        )
        for lr, value in grid.items()
    ]  # fmt: skip


def columns(values: Floats, names: Sequence[str]) -> dict[str, list[float | None]]:
    """An array (seeds x schedules) as `finals` takes it."""
    return dict(zip(names, values.T.tolist(), strict=True))


def compared(
    values: Mapping[str, Sequence[float | None]], question: Question = FINE, **changes: Any
) -> Summary:
    return summarise(finals(values, **changes), question)


def standing_of(trials: Sequence[History], question: Question = WIDE) -> Standing:
    (standing,) = standings(trials_frame(trials, None), question)
    return standing


def noisy(means: Mapping[str, float], seeds: int = 5, sd: float = 0.001) -> Standing:
    """Of schedules with these means, each seed off by `sd`."""
    rng = np.random.default_rng(0)
    values = np.array(list(means.values())) + rng.normal(0, sd, (seeds, len(means)))
    (standing,) = standings(trials_of(values, list(means)), WIDE)
    return standing


def trials_of(values: Any, names: Sequence[str] = ()) -> DataFrame:
    """An array (seeds x schedules) of test accuracies as a bare `trials.csv` frame."""
    import pandas as pd

    seeds, count = values.shape
    known = list(names) or [f"s{place}" for place in range(count)]
    return pd.DataFrame({
        "stage": "final", "schedule": np.tile(np.array(known, dtype=object), seeds), "budget": 2,
        "lr": 0.1, "seed": np.repeat(np.arange(seeds), count), "status": "done",
        "test_accuracy": values.ravel(),
    })  # fmt: skip


def tried(rng: np.random.Generator, best: float, noise: float, seeds: int = 2) -> Floats:
    """Scores over `GRID` x seeds, with their peak at `best`, that fall faster above it than below;
    a seed shifts all of its own."""
    off = np.log(GRID / best)[:, None]
    scores: Floats = 0.96 - 0.01 * (np.expm1(off) - off) + rng.normal(0, 0.01, seeds)
    return scores + rng.normal(0, noise, (len(GRID), seeds))


def lengths(bests: Mapping[int, float]) -> Summary:
    """A comparison of one schedule at these numbers of epochs, each with the LR that is best in
    truth, which asks for the LR at 32 epochs."""
    rng, histories, choices = np.random.default_rng(0), [], {}
    for epochs, best in bests.items():
        rows = [
            Tuned("cosine", place, float(GRID[place]), TUNING_SEED + seed, float(value))
            for (place, seed), value in np.ndenumerate(tried(rng, best, 0.0003))
        ]
        histories += [
            history(final=row.value or 0, lr=row.lr, seed=row.seed, stage="tune", epochs=epochs)
            for row in rows
        ]
        choices["cosine", epochs, Recipe().batch_size] = choose(rows, 0.1)["cosine"]
        histories += finals({"cosine": [0.96, 0.97]}, epochs=epochs)
    return summarise(histories, Question(("cosine",), choices=choices, aim=("epochs", 32)))
