"""What tuning trials reached, and which trials are still to be trained."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from lrbench.options import TrialSpec
from lrbench.records import History

MOST_CHANCE = 0.5


def reached(metric: str, history: History) -> tuple[float, float | None] | None:
    """The metric on validation data after the last epoch, higher is better, and the validation
    loss; the loss alone without an accuracy, and None for a trial that did not end well."""
    if history.end is None or history.end.status != "done" or not history.epochs:
        return None
    last = history.epochs[-1]
    accuracy = _accuracy(metric, history)
    if accuracy is not None:
        return accuracy, last.val_loss
    return None if last.val_loss is None else (-last.val_loss, last.val_loss)


def _accuracy(metric: str, history: History) -> float | None:
    if not history.epochs or not metric.endswith("accuracy"):
        return None
    last = history.epochs[-1]
    balanced = metric.endswith("balanced_accuracy")
    return last.val_balanced_accuracy if balanced else last.val_accuracy


def chance(metric: str, histories: Iterable[History]) -> float:
    """What a model that learnt nothing reaches: the negative loss before training or, as an
    accuracy, exp(-loss), which is 1/classes for a cross-entropy. Where no trial recorded its loss
    before training: no accuracy, or the worst loss."""
    ended = list(histories)
    starts = [each.end.start_loss for each in ended if each.end and each.end.start_loss is not None]
    if any(_accuracy(metric, each) is not None for each in ended):
        return min(MOST_CHANCE, math.exp(-statistics.median(starts))) if starts else 0.0
    if starts:
        return -statistics.median(starts)
    return min((found[0] for each in ended if (found := reached(metric, each))), default=0.0)


def missing(wanted: Sequence[TrialSpec], histories: Mapping[str, History]) -> tuple[TrialSpec, ...]:
    """Those that have not ended yet."""
    known = ((trial, histories.get(trial.id)) for trial in wanted)
    return tuple(trial for trial, history in known if history is None or history.end is None)
