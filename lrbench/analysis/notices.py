"""What a reader of a comparison should be warned of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lrbench.analysis.names import short
from lrbench.analysis.question import Question
from lrbench.analysis.standing import Standing, in_cell
from lrbench.analysis.words import listed, where
from lrbench.errors import Notice, Topic

if TYPE_CHECKING:
    from pandas import DataFrame

NOISY = 1.1
LUCKY = 0.05  # of validation accuracy, lost between the tuning seeds and the final ones


def notices_of(
    found: Sequence[Standing], trials: DataFrame, question: Question
) -> Iterator[Notice]:
    for standing in found:
        yield from _seeds(standing, question)
        yield from _failures(standing)
        yield from _throughput(standing, trials)
        yield from _lucky_lrs(standing, trials, where(standing, found))
    if found and found[0].metric != question.metric and "balanced" in question.metric:
        yield Notice(
            Topic.OTHER,
            f"ranked by {found[0].metric}: this task does not measure {question.metric}",
        )


def _seeds(standing: Standing, question: Question) -> Iterator[Notice]:
    counts = np.isfinite(standing.values).sum(axis=0) + standing.failed
    least, most = int(counts.min()), int(counts.max())
    if most < 2 and len(standing.names) > 1:
        yield Notice(
            Topic.FEW_SEEDS,
            "one seed cannot show a difference between schedules, whatever its size",
            "--seeds 5 extends this run",
        )
    elif least < most:
        yield Notice(
            Topic.FEW_SEEDS,
            f"the schedules have from {least} to {most} final seeds",
            "differences are over the seeds that both have; the same command trains the rest",
        )
    elif question.seeds is not None and most < question.seeds:
        yield Notice(
            Topic.FEW_SEEDS,
            f"{most} of {question.seeds} final seeds are done",
            "the same command trains the rest",
        )


def _failures(standing: Standing) -> Iterator[Notice]:
    bad = [name for name, count in zip(standing.names, standing.failed, strict=True) if count]
    if bad:
        yield Notice(
            Topic.TRIALS_FAILED,
            f"{int(standing.failed.sum())} final trials of {listed([short(n, 40) for n in bad])} "
            "did not end well and rank last",
            "trials.csv says at which step and why; where they diverged, a smaller LR may help",
        )


def _throughput(standing: Standing, trials: DataFrame) -> Iterator[Notice]:
    speeds = trials["throughput_img_s"].to_numpy()
    known = [speeds[rows] for rows in standing.rows if np.isfinite(speeds[rows]).sum() > 1]
    medians = [float(np.nanmedian(mine)) for mine in known]
    if medians and max(medians) > NOISY * min(medians):
        yield Notice(
            Topic.NOISY_THROUGHPUT,
            f"throughput differs by {100 * (max(medians) / min(medians) - 1):.0f} % between "
            "schedules, although they do not change the cost of a step",
            "something else used this machine, so do not compare seconds",
        )


def _lucky_lrs(standing: Standing, trials: DataFrame, place: str) -> Iterator[Notice]:
    """Learning rates that did well on the tuning seeds and far worse over the final ones."""
    for name, lr, rows in zip(standing.names, standing.lrs, standing.rows, strict=True):
        tuned = trials[
            (trials["stage"] == "tune")
            & (trials["schedule"] == name)
            & in_cell(trials, standing.budget, standing.batch_size)
            & (trials["lr"] == lr)
        ]
        hoped, found = tuned["val_accuracy"].mean(), trials.loc[rows, "val_accuracy"].mean()
        if hoped - found > LUCKY:
            yield Notice(
                Topic.LUCKY_LR,
                f"{place + ': ' if place else ''}LR {lr:g} gave {short(name, 40)} "
                f"{100 * hoped:.1f} % in tuning and {100 * found:.1f} % over the final seeds",
                "it is too close to where training breaks down: more --tuning-seeds would have "
                "seen that, and longer training depends less on luck",
            )
