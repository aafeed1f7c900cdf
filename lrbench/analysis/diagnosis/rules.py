"""The rules: each looks at one training that has ended, and has something to say or not.

The thresholds are deliberately far from what healthy trainings do: a rule that speaks should be
right. `docs/diagnosis.md` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from lrbench.records import EpochRecord, History


@dataclass(frozen=True)
class Finding:
    """What was seen in a training, and what to change."""

    rule: str
    message: str
    remedy: str


Rule = Callable[[History], Finding | None]

RISE = 1.1  # from one epoch's loss to the next: a step back that is no noise
SWING = 1.25
LEARNT = 0.02  # of the loss at the start: what moves below that is no trouble
TINY_LR = 1e-3  # of the peak
NOISE = 0.35  # mean change of the validation loss between epochs, over its median
OVERFIT = 1.25  # the validation loss at the end, over its best
STEEP = 0.03  # of the loss at the start, in each epoch
DROP = 3.0  # the factor by which a step lowers the LR
CHANCE = 1.5  # an accuracy below that many times exp(-loss) is no better than guessing


def early_oscillation(history: History) -> Finding | None:
    """The training loss rises by over a tenth at least twice within the first third."""
    losses = _with_start(history)
    count = min(max(4, len(history.epochs) // 3), len(history.epochs))
    low = LEARNT * losses[0]
    rises = [_ratio(a, b) for a, b in pairwise(losses[: count + 1]) if b > max(RISE * a, low)]
    if len(rises) < 2:
        return None
    return Finding(
        "early-oscillation",
        f"the training loss rose {len(rises)} times in the first {count} epochs, by up to "
        f"{100 * (max(rises) - 1):.0f} %",
        "lower the LR, or warm up",
    )


def stagnation(history: History) -> Finding | None:
    """Over the last quarter the LR is below a thousandth of its peak and nothing moves."""
    epochs = history.epochs
    count = max(3, len(epochs) // 4)
    if len(epochs) <= count or any(e.lr_first >= TINY_LR * _peak(epochs) for e in epochs[-count:]):
        return None
    losses = _train(epochs)
    fall = 1 - losses[-1] / losses[-count - 1] if losses and losses[-count - 1] > 0 else 1.0
    if abs(fall) >= 0.01:
        return None
    return Finding(
        "stagnation",
        f"in the last {count} epochs the LR was below {TINY_LR:g} of its peak and the training "
        "loss stood still",
        "raise the schedule's min, or use cosine",
    )


def validation_noise(history: History) -> Finding | None:
    """In the second half the validation loss jumps up and down by a third of itself."""
    values = _val(history.epochs)
    half = values[len(values) // 2 :]
    if len(half) < 5 or median(half) <= LEARNT * _with_start(history)[0]:
        return None
    moves = [b - a for a, b in pairwise(half)]
    turns = sum(a * b < 0 for a, b in pairwise(moves))
    size = fmean(abs(move) for move in moves) / median(half)
    if size < NOISE or turns < 0.5 * (len(moves) - 1):
        return None
    return Finding(
        "validation-noise",
        f"the validation loss changed by {100 * size:.0f} % from one epoch to the next in the "
        "second half",
        "raise the patience of a plateau or an early stop, enlarge the batch or --val-fraction",
    )


def overfitting(history: History) -> Finding | None:
    """The validation loss rises well above its best while the training loss falls on."""
    values, losses = _val(history.epochs), _train(history.epochs)
    if len(values) < 6 or len(losses) != len(values):
        return None
    best = min(range(len(values)), key=values.__getitem__)
    level, end = fmean(values[max(0, best - 1) : best + 2]), fmean(values[-3:])
    high = end > max(OVERFIT * level, LEARNT * _with_start(history)[0])
    worse = level > 0 and high and best < 0.6 * len(values)
    if not worse or losses[-1] > 0.8 * losses[best] or values[-1] < losses[-1]:
        return None
    return Finding(
        "overfitting",
        f"the validation loss was best after epoch {best + 1} of {len(values)} and is "
        f"{100 * (end / level - 1):.0f} % higher at the end, while the training loss fell on",
        "stop early (--early-stop patience=5), or raise --weight-decay",
    )


def plateau_never_fired(history: History) -> Finding | None:
    """A plateau schedule ran to its end without a cut."""
    if not _is_plateau(history) or history.cuts or len(history.epochs) < 2:
        return None
    if history.end is None or history.end.status != "done":
        return None
    return Finding(
        "plateau-never-fired",
        f"plateau did not cut the LR once in {len(history.epochs)} epochs",
        "lower its patience, train longer, or use a schedule that ends with the run",
    )


def plateau_fired_on_noise(history: History) -> Finding | None:
    """A cut came while the training loss was falling by a fifth over three epochs."""
    losses = _train(history.epochs)
    if not _is_plateau(history) or not losses:
        return None
    hasty = [
        cut.epoch
        for cut in history.cuts
        if 4 <= cut.epoch <= len(losses) and losses[cut.epoch - 1] < 0.8 * losses[cut.epoch - 4]
    ]
    if not hasty:
        return None
    return Finding(
        "plateau-fired-on-noise",
        f"plateau cut the LR after epoch {hasty[0]}, while the training loss was still falling",
        "raise its patience or its threshold, or enlarge --val-fraction",
    )


def lr_too_low(history: History) -> Finding | None:
    """The loss still falls steeply at the end, from where it has not come far."""
    losses = _with_start(history)
    count = max(2, len(history.epochs) // 4)
    if len(history.epochs) < 4 or losses[0] <= 0 or losses[-1] < 0.3 * losses[0]:
        return None
    fall = (losses[-count - 1] - losses[-1]) / (count * losses[0])
    if fall < STEEP:
        return None
    return Finding(
        "lr-too-low",
        f"the training loss was still falling by {100 * fall:.0f} % of its start each epoch at "
        "the end",
        "raise the LR, or train longer",
    )


def no_progress(history: History) -> Finding | None:
    """The training loss never fell by a tenth, and what is predicted is guessed.

    Guessing among k classes has the loss ln k and the accuracy 1/k, so the exponential of minus
    the loss stands for chance. Where no accuracy is measured, the loss never fell by 2 %; there, a
    training that goes on from given weights may well begin where it ends.
    """
    losses, last = _with_start(history), history.epochs[-1] if history.epochs else None
    done = history.end is not None and history.end.status == "done"
    if not done or last is None or len(history.epochs) < 2 or losses[0] <= 0:
        return None
    recipe, accuracy = history.spec.recipe, last.val_accuracy
    if accuracy is None:
        stuck = min(losses) > 0.98 * losses[0] and not (recipe.init_from or recipe.weights)
    else:
        guessed = accuracy <= min(0.55, CHANCE * math.exp(-losses[-1]))
        stuck = guessed and min(losses) > 0.9 * losses[0]
    if not stuck:
        return None
    level = "" if accuracy is None else f", and {100 * accuracy:.0f} % right is guessing"
    return Finding(
        "no-progress",
        f"the training loss went from {losses[0]:.3g} to {losses[-1]:.3g}{level}",
        "the LR is far too low, or so high that the network died: lrbench find names one",
    )


def mostly_clipped(history: History) -> Finding | None:
    """Gradients were clipped in over half of the steps."""
    share = history.end.clipped_share if history.end is not None else None
    if share is None or share <= 0.5:
        return None
    return Finding(
        "mostly-clipped",
        f"gradients were clipped in {100 * share:.0f} % of the steps, which makes clipping part "
        "of the LR",
        "lower the LR, or raise the limit",
    )


def fruitless_drop(history: History) -> Finding | None:
    """The first drop of the LR from its height brings no lower training loss."""
    epochs, losses = history.epochs, _train(history.epochs)
    if len(losses) != len(epochs) or not epochs:
        return None
    peak = _peak(epochs)
    for place, (before, after) in enumerate(pairwise(epochs)):
        dropped = before.lr_last >= 0.5 * peak and after.lr_first * DROP <= before.lr_last
        if not dropped or place + 3 > len(epochs):
            continue
        since = fmean(losses[place + 1 : place + 4])
        if losses[place] <= 0 or since < 0.99 * losses[place]:
            return None
        return Finding(
            "fruitless-drop",
            f"the LR fell from {before.lr_last:.3g} to {after.lr_first:.3g} after epoch "
            f"{before.epoch}, and the training loss did not",
            "drop it later or by less: the training may be stuck at too low an LR already",
        )
    return None


def swings_at_high_lr(history: History) -> Finding | None:
    """The training loss jumps up by a quarter, and only where the LR is high."""
    epochs, losses = history.epochs, _train(history.epochs)
    peak = _peak(epochs) if epochs else 0.0
    high = [max(e.lr_first, e.lr_last) >= 0.5 * peak for e in epochs]
    if len(losses) != len(epochs) or min(sum(high), len(high) - sum(high)) < 3:
        return None
    jumps = [high[i + 1] for i, (a, b) in enumerate(pairwise(losses)) if b > SWING * a > 0]
    if len(jumps) < 2 or not all(jumps):
        return None
    return Finding(
        "swings-at-high-lr",
        f"the training loss jumped up {len(jumps)} times, each time where the LR was above half "
        "of its peak",
        "lower the peak",
    )


def growing_gap(history: History) -> Finding | None:
    """At the ends of cycles, validation and training loss lie further apart each time."""
    epochs = history.epochs
    ends = [b for b, after in pairwise(epochs) if after.lr_first >= 2 * b.lr_last > 0]
    ends = [*ends, epochs[-1]] if ends else []
    pairs = [(e.val_loss, e.train_loss) for e in ends]
    known = [(v, t) for v, t in pairs if v is not None and t is not None]
    if len(known) < 3 or len(known) != len(pairs):
        return None
    gaps = [v - t for v, t in known]
    grows = all(b > a for a, b in pairwise(gaps)) and gaps[-1] > 1.5 * max(gaps[0], 0.0)
    if not grows or known[-1][0] <= RISE * known[0][0]:
        return None
    return Finding(
        "growing-gap",
        f"the gap between validation and training loss grew over {len(gaps)} cycles, from "
        f"{gaps[0]:.3g} to {gaps[-1]:.3g}",
        "fewer cycles, a lower peak in later ones, or more --weight-decay",
    )


def stopped_early(history: History) -> Finding | None:
    """An early stop ended the training: where, and how high the LR was then."""
    end, epochs = history.end, history.epochs
    if end is None or end.status != "done" or not epochs or len(epochs) >= history.spec.epochs:
        return None
    share = epochs[-1].lr_last / _peak(epochs)
    where = f"stopped early after epoch {len(epochs)} of {history.spec.epochs}"
    if share <= 0.1:
        return Finding("stopped-early", where, "nothing to do: the LR had come down")
    if history.spec.schedule == "constant":
        return Finding("stopped-early", where, "nothing to do: a constant LR misses no decay")
    return Finding(
        "stopped-early",
        f"{where}, with the LR at {100 * share:.0f} % of its peak",
        "raise the patience of --early-stop above that of plateau, which then cuts the LR first"
        if _is_plateau(history)
        else "for a schedule that decays, raise the patience of --early-stop or shorten --epochs",
    )


RULES: tuple[Rule, ...] = (
    early_oscillation,
    stagnation,
    validation_noise,
    overfitting,
    plateau_never_fired,
    plateau_fired_on_noise,
    lr_too_low,
    no_progress,
    mostly_clipped,
    fruitless_drop,
    swings_at_high_lr,
    growing_gap,
    stopped_early,
)


def _train(epochs: Sequence[EpochRecord]) -> list[float]:
    return [e.train_loss for e in epochs if e.train_loss is not None]


def _val(epochs: Sequence[EpochRecord]) -> list[float]:
    return [e.val_loss for e in epochs if e.val_loss is not None]


def _with_start(history: History) -> list[float]:
    """The loss of the first batch, and the mean training loss of each epoch."""
    start = history.end.start_loss if history.end is not None else None
    losses = _train(history.epochs)
    return [losses[0] if start is None else start, *losses] if losses else [0.0]


def _peak(epochs: Sequence[EpochRecord]) -> float:
    return max(max(e.lr_first, e.lr_last) for e in epochs) or 1.0


def _ratio(before: float, after: float) -> float:
    return after / before if before > 0 else 2.0


def _is_plateau(history: History) -> bool:
    return "plateau" in history.spec.schedule.lower()
