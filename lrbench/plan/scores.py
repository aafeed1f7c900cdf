"""How good a tuning trial was, and which trials are still to be trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from lrbench.experiment import TrialSpec
from lrbench.records import History

Score = tuple[float, float]
"""The ranking metric and then the loss, higher is better."""
MeanScore = tuple[int, float, float]
"""Minus the number of failed seeds, then the means over the others."""


def score(metric: str, history: History) -> Score | None:
    """How good a tuning trial was, higher is better; None for one that did not end well."""
    if history.end is None or history.end.status != "done" or not history.epochs:
        return None
    last = history.epochs[-1]
    loss = -last.val_loss if last.val_loss is not None else -math.inf
    balanced = metric.endswith("balanced_accuracy")
    accuracy = last.val_balanced_accuracy if balanced else last.val_accuracy
    if metric.endswith("accuracy") and accuracy is not None:
        return accuracy, loss
    return loss, 0.0


def mean_score(scores: Sequence[Score | None]) -> MeanScore | None:
    """Minus the number of failed seeds, then the means over the others; None without any.

    >>> mean_score([(0.75, -1.0), (0.25, -2.0)]), mean_score([(1.0, 0.0), None]), mean_score([None])
    ((0, 0.5, -1.5), (-1, 1.0, 0.0), None)
    """
    good = [found for found in scores if found is not None]
    if not good:
        return None
    first, second = (math.fsum(column) / len(good) for column in zip(*good, strict=True))
    return len(good) - len(scores), first, second


def means(
    metric: str, trials: Iterable[TrialSpec], histories: Mapping[str, History]
) -> dict[float, MeanScore]:
    """The mean score of each learning rate that had a good trial."""
    scores: dict[float, list[Score | None]] = {}
    for trial in trials:
        scores.setdefault(trial.lr, []).append(score(metric, histories[trial.id]))
    return {lr: mean for lr, found in scores.items() if (mean := mean_score(found))}


def missing(wanted: Sequence[TrialSpec], histories: Mapping[str, History]) -> tuple[TrialSpec, ...]:
    """Those that have not ended yet."""
    known = ((trial, histories.get(trial.id)) for trial in wanted)
    return tuple(trial for trial, history in known if history is None or history.end is None)
