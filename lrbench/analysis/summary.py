"""All that a report says of a comparison, as one frozen value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from lrbench.analysis.diagnosis import diagnosis_frame
from lrbench.analysis.frames import completed, epochs_frame, in_order, steps_frame, trials_frame
from lrbench.analysis.names import short
from lrbench.analysis.power import Power, power_facts
from lrbench.analysis.question import MetricName, Question
from lrbench.analysis.ranking import ranking_frame
from lrbench.analysis.reference import against_reference
from lrbench.analysis.sensitivity import sensitivity_frame
from lrbench.analysis.standing import Standing, in_cell, standings
from lrbench.analysis.target import default_target
from lrbench.analysis.words import listed, power_sentence, sentence, where
from lrbench.errors import Notice, Topic
from lrbench.records import History

if TYPE_CHECKING:
    from pandas import DataFrame

NOISY = 1.1
LUCKY = 0.05  # of validation accuracy, lost between the tuning seeds and the final ones


@dataclass(frozen=True, eq=False)
class Summary:
    """The frames of the run's files, and what they mean.

    `metric` is the one that ranks: the question's, or the loss where the task has no accuracy.
    `best` is the best-ranked schedule of the first standing (the largest budget of the smallest
    batch), None before a final trial ended well;
    `winner` is the same where it is told apart from every other, and None in a tie. `chosen` is
    the LR that each schedule's finals were trained at. `reference` is empty without one.
    """

    question: Question
    metric: MetricName
    target_accuracy: float | None
    trials: DataFrame
    epochs: DataFrame
    steps: DataFrame
    ranking: DataFrame
    sensitivity: DataFrame
    reference: DataFrame
    standings: tuple[Standing, ...]
    groups: tuple[tuple[str, ...], ...]
    best: str | None
    winner: str | None
    chosen: Mapping[str, float]
    sentence: str
    power: tuple[Power, ...]
    power_sentence: str
    notices: tuple[Notice, ...]
    diagnosis: DataFrame

    @property
    def failed_finals(self) -> int:
        """Final trials that diverged or failed."""
        finals = self.trials[self.trials["stage"] == "final"]
        return int(finals["status"].isin(["diverged", "failed"]).sum())


def summarise(histories: Iterable[History], question: Question) -> Summary:
    """What the trials so far say; fit for a run at any point, an empty one included."""
    ordered = in_order(histories, question)
    target = question.target_accuracy or default_target(ordered)
    trials = trials_frame(ordered, target)
    frames = (trials, epochs_frame(ordered), steps_frame(ordered))
    return summary_of(*frames, question, target, ordered)


def summary_of(
    trials: DataFrame,
    epochs: DataFrame,
    steps: DataFrame,
    question: Question,
    target: float | None = None,
    histories: Sequence[History] = (),
) -> Summary:
    """The same from the frames; the diagnosis is that of `histories`."""
    trials = completed(trials)
    found = tuple(standings(trials, question))
    largest = found[0] if found else None
    powers = [power_facts(standing, question.alpha) for standing in found]
    power = tuple(facts for facts in powers if facts is not None)
    metric = largest.metric if largest else question.metric
    return Summary(
        question=question,
        metric=metric,
        target_accuracy=target,
        trials=trials,
        epochs=epochs,
        steps=steps,
        ranking=ranking_frame(found, trials, question),
        sensitivity=sensitivity_frame(trials, question),
        reference=against_reference(found, question),
        standings=found,
        groups=largest.groups if largest else (),
        best=_best(largest),
        winner=_winner(largest),
        chosen={}
        if largest is None
        else dict(zip(largest.names, largest.lrs.tolist(), strict=True)),
        sentence=sentence(found, question),
        power=power,
        power_sentence=_power_sentence(found, power, metric),
        notices=tuple(dict.fromkeys(chain(question.notices, _notices(found, trials, question)))),
        diagnosis=diagnosis_frame(histories),
    )


def _power_sentence(found: Sequence[Standing], power: Sequence[Power], metric: MetricName) -> str:
    if not power:
        return ""
    place, words = where(found[0], found), power_sentence(power[0], metric)
    return f"{place}: {words}" if place else words


def _best(standing: Standing | None) -> str | None:
    if standing is None or not np.isfinite(standing.values[:, 0]).any():
        return None
    return standing.names[0]


def _winner(standing: Standing | None) -> str | None:
    """The one that stands alone in the first of at least two groups."""
    if standing is None or len(standing.groups) < 2 or len(standing.groups[0]) > 1:
        return None
    return standing.groups[0][0]


def _notices(found: Sequence[Standing], trials: DataFrame, question: Question) -> Iterable[Notice]:
    for standing in found:
        yield from _seed_notices(standing, question)
        yield from _failure_notices(standing)
        yield from _noise_notices(standing, trials)
        yield from _lucky_notices(standing, trials, where(standing, found))
    if found and found[0].metric != question.metric and "balanced" in question.metric:
        yield Notice(
            Topic.OTHER,
            f"ranked by {found[0].metric}: this task does not measure {question.metric}",
        )


def _lucky_notices(standing: Standing, trials: DataFrame, place: str) -> Iterable[Notice]:
    """Learning rates that did well on the tuning seeds and far worse over the final ones."""
    column = "val_accuracy"
    for name, lr, rows in zip(standing.names, standing.lrs, standing.rows, strict=True):
        tuned = trials[
            (trials["stage"] == "tune")
            & (trials["schedule"] == name)
            & in_cell(trials, standing.budget, standing.batch_size)
            & (trials["lr"] == lr)
        ]
        hoped, found = tuned[column].mean(), trials.loc[rows, column].mean()
        if hoped - found > LUCKY:
            yield Notice(
                Topic.LUCKY_LR,
                f"{place + ': ' if place else ''}LR {lr:g} gave {short(name, 40)} "
                f"{100 * hoped:.1f} % in tuning and "
                f"{100 * found:.1f} % over the final seeds",
                "it is too near to where training breaks down: more --tuning-seeds see that, and a "
                "longer training is less of a lottery",
            )


def _seed_notices(standing: Standing, question: Question) -> Iterable[Notice]:
    counts = np.isfinite(standing.values).sum(axis=0) + standing.failed
    least, most = int(counts.min()), int(counts.max())
    if most < 2 and len(standing.names) > 1:
        yield Notice(
            Topic.FEW_SEEDS,
            "one seed shows no difference between schedules, whatever its size",
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


def _failure_notices(standing: Standing) -> Iterable[Notice]:
    bad = [name for name, count in zip(standing.names, standing.failed, strict=True) if count]
    if bad:
        yield Notice(
            Topic.TRIALS_FAILED,
            f"{int(standing.failed.sum())} final trials of {listed([short(n, 40) for n in bad])} "
            "did not end well and rank last",
            "trials.csv says at which step and why; where they diverged, a smaller LR may help",
        )


def _noise_notices(standing: Standing, trials: DataFrame) -> Iterable[Notice]:
    speeds = trials["throughput_img_s"].to_numpy()
    medians = [
        float(np.nanmedian(speeds[rows]))
        for rows in standing.rows
        if np.isfinite(speeds[rows]).sum() > 1
    ]
    if medians and max(medians) > NOISY * min(medians) and math.isfinite(max(medians)):
        yield Notice(
            Topic.NOISY_THROUGHPUT,
            f"throughput differs by {100 * (max(medians) / min(medians) - 1):.0f} % between "
            "schedules, which do not change the cost of a step",
            "something else used this machine: do not compare seconds",
        )
