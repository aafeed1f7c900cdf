"""Speed of learning: epochs and seconds to a target, and the area under the validation curve."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from lrbench.records import EpochRecord, History

SHARE_OF_BEST = 0.99


def default_target(histories: Iterable[History]) -> float | None:
    """99 % of the best schedule's mean final validation accuracy, over the final trials that ended
    well; None where there is none yet."""
    finals: dict[tuple[str, int, int], list[float]] = {}
    for history in histories:
        spec, end = history.spec, history.end
        if spec.stage != "final" or end is None or end.status != "done" or not history.epochs:
            continue
        accuracy = history.epochs[-1].val_accuracy
        if accuracy is not None:
            cell = (spec.name, spec.epochs, spec.batch_size)
            finals.setdefault(cell, []).append(accuracy)
    means = [math.fsum(values) / len(values) for values in finals.values()]
    return SHARE_OF_BEST * max(means) if means else None


def reached(
    epochs: Sequence[EpochRecord], target: float | None
) -> tuple[float, float] | tuple[None, None]:
    """(epochs, training seconds) after which validation accuracy first is at the target, linear
    between the ends of two epochs. (None, None): never."""
    if target is None or not epochs:
        return None, None
    ends = [(0.0, 0.0, -math.inf)]
    for epoch in epochs:
        accuracy = epoch.val_accuracy if epoch.val_accuracy is not None else -math.inf
        ends.append((float(epoch.epoch), ends[-1][1] + epoch.train_s, accuracy))
    for before, after in pairwise(ends):
        if after[2] >= target:
            part = _part(before[2], after[2], target)
            epoch_, seconds = (
                a + part * (b - a) for a, b in zip(before[:2], after[:2], strict=True)
            )
            return epoch_, seconds
    return None, None


def _part(before: float, after: float, target: float) -> float:
    """Which part of the epoch it took; all of it where nothing is known of its start."""
    return (target - before) / (after - before) if math.isfinite(before) else 1.0


def area_under(curve: Sequence[float | None]) -> float | None:
    """The mean height, 0..1, of the accuracy curve between its first and its last epoch
    (trapezoids); None where an epoch has no accuracy.

    >>> area_under([0.5, 1.0, 1.0])
    0.875
    """
    heights = [height for height in curve if height is not None]
    if not heights or len(heights) < len(curve):
        return None
    if len(heights) == 1:
        return heights[0]
    return math.fsum((a + b) / 2 for a, b in pairwise(heights)) / (len(heights) - 1)
