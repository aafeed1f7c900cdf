"""The rules; each looks at one finished training.

The thresholds are deliberately far from what healthy trainings do: when a rule fires, it should be
right.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

from lrbench.analysis.diagnosis import RULES, Finding
from lrbench.analysis.names import watches_training
from lrbench.records import EpochRecord, History

RISE = 1.1  # from one epoch's loss to the next: more than noise
SWING = 1.25
LEARNT = 0.02  # of the loss at the start: smaller moves do not matter
TINY_LR = 1e-3  # of the peak
NOISE = 0.35  # mean change of the validation loss between epochs, over its median
OVERFIT = 1.25  # the validation loss at the end, over its best
SURE = 3.0  # typical changes from epoch to epoch: a larger rise is not noise
STEEP = 0.03  # of the loss at the start, in each epoch
DROP = 3.0  # the factor by which a step lowers the LR
CHANCE = 1.5  # times exp(-loss): a lower accuracy is no better than guessing


@RULES.register(
    "early-oscillation",
    "the training loss rises by over 10 % at least twice in the first third (at least 4 "
    "epochs), to above 2 % of its start",
)
def early_oscillation(history: History) -> Finding | None:
    losses = _with_start(history)
    count = min(max(4, len(history.epochs) // 3), len(history.epochs))
    low = LEARNT * losses[0]
    rises = [_ratio(a, b) for a, b in pairwise(losses[: count + 1]) if b > max(RISE * a, low)]
    if len(rises) < 2:
        return None
    return Finding(
        f"the training loss rose {len(rises)} times in the first {count} epochs, by up to "
        f"{100 * (max(rises) - 1):.0f} %",
        "lower the LR, or warm up",
    )


@RULES.register(
    "stagnation",
    "in the last quarter (at least 3 epochs) the LR is below 1/1000 of its peak and the training "
    "loss, still above 2 % of its start, moves by under 1 %",
)
def stagnation(history: History) -> Finding | None:
    epochs = history.epochs
    count = max(3, len(epochs) // 4)
    if len(epochs) <= count or any(e.lr_first >= TINY_LR * _peak(epochs) for e in epochs[-count:]):
        return None
    losses = _train(epochs)
    fall = 1 - losses[-1] / losses[-count - 1] if losses and losses[-count - 1] > 0 else 1.0
    if abs(fall) >= 0.01 or losses[-1] <= LEARNT * _with_start(history)[0]:
        return None
    return Finding(
        f"in the last {count} epochs the LR was below {TINY_LR:g} of its peak and the training "
        "loss stalled",
        "raise the schedule's min, or use cosine",
    )


@RULES.register(
    "validation-noise",
    "in the second half the validation loss changes by over 35 % of its median from "
    "epoch to epoch, mostly back and forth, above 2 % of the loss at the start",
)
def validation_noise(history: History) -> Finding | None:
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
        f"the validation loss changed by {100 * size:.0f} % from one epoch to the next in the "
        "second half",
        "raise the patience of a plateau or an early stop, enlarge the batch or --val-fraction",
    )


@RULES.register(
    "overfitting",
    "the validation loss was lowest in the first 60 %; its last three epochs are on average 25 % "
    "above that epoch and its better neighbour, beyond its noise and above 2 % of the loss at the "
    "start, and the training loss kept falling, by over 20 %",
)
def overfitting(history: History) -> Finding | None:
    values, losses = _val(history.epochs), _train(history.epochs)
    if len(values) < 6 or len(losses) != len(values):
        return None
    best = min(range(len(values)), key=values.__getitem__)
    if best >= 0.6 * len(values):
        return None
    beside = min(values[max(0, best - 1) : best] + values[best + 1 : best + 2])
    low, end = fmean((values[best], beside)), fmean(values[-3:])  # a single epoch may be luck
    noise = median(abs(b - a) for a, b in pairwise(values[best:]))
    high = end > max(OVERFIT * low, low + SURE * noise, LEARNT * _with_start(history)[0])
    if low <= 0 or not high or losses[-1] > 0.8 * losses[best] or values[-1] < losses[-1]:
        return None
    return Finding(
        f"the validation loss was best after epoch {best + 1} of {len(values)} and is "
        f"{100 * (end / low - 1):.0f} % higher at the end, while the training loss kept falling",
        "stop early (--early-stop patience=5), or raise --weight-decay",
    )


@RULES.register("plateau-never-fired", "a plateau schedule made no cut")
def plateau_never_fired(history: History) -> Finding | None:
    if not watches_training(history.spec.schedule) or history.cuts or len(history.epochs) < 2:
        return None
    if history.end is None or history.end.status != "done":
        return None
    return Finding(
        f"plateau never cut the LR in {len(history.epochs)} epochs",
        "lower its patience, train longer, or use a schedule that ends with the run",
    )


@RULES.register(
    "plateau-fired-on-noise",
    "a plateau schedule cut while the training loss was falling by over 20 % in 3 epochs",
)
def plateau_fired_on_noise(history: History) -> Finding | None:
    losses = _train(history.epochs)
    if not watches_training(history.spec.schedule) or not losses:
        return None
    hasty = [
        cut.epoch
        for cut in history.cuts
        if 4 <= cut.epoch <= len(losses) and losses[cut.epoch - 1] < 0.8 * losses[cut.epoch - 4]
    ]
    if not hasty:
        return None
    return Finding(
        f"plateau cut the LR after epoch {hasty[0]}, while the training loss was still falling",
        "raise its patience or its threshold, or enlarge --val-fraction",
    )


@RULES.register(
    "lr-too-low",
    "the training loss is above 30 % of its start and still falls by over 3 % of it each epoch",
)
def lr_too_low(history: History) -> Finding | None:
    losses = _with_start(history)
    count = max(2, len(history.epochs) // 4)
    if len(history.epochs) < 4 or losses[0] <= 0 or losses[-1] < 0.3 * losses[0]:
        return None
    fall = (losses[-count - 1] - losses[-1]) / (count * losses[0])
    if fall < STEEP:
        return None
    return Finding(
        f"the training loss was still falling by {100 * fall:.0f} % of its start each epoch at "
        "the end",
        "raise the LR, or train longer",
    )


@RULES.register(
    "no-progress",
    "the training loss never fell by 10 % and the accuracy is at most 1.5 exp(-loss),"
    " which is chance, and at most 55 %; without an accuracy, it never fell by 2 % "
    "and no weights were given",
)
def no_progress(history: History) -> Finding | None:
    # Guessing among k classes has loss ln k and accuracy 1/k, so exp(-loss) is chance.
    # Without an accuracy only the loss can tell, and fine-tuning may start close to its end.
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
    level = "" if accuracy is None else f"; accuracy stayed at chance ({100 * accuracy:.0f} %)"
    return Finding(
        f"the training loss only went from {losses[0]:.3g} to {losses[-1]:.3g}{level}",
        "the LR is far too low, or so high that the network died: run lrbench find",
    )


@RULES.register("mostly-clipped", "gradients were clipped in over half of the steps")
def mostly_clipped(history: History) -> Finding | None:
    share = history.end.clipped_share if history.end is not None else None
    if share is None or share <= 0.5:
        return None
    return Finding(
        f"gradients were clipped in {100 * share:.0f} % of the steps, which makes clipping part "
        "of the LR",
        "lower the LR, or raise the limit",
    )


@RULES.register(
    "fruitless-drop",
    "the first drop of the LR to a third or less, from above half of its peak, lowers"
    " the training loss by under 1 % over 3 epochs",
)
def fruitless_drop(history: History) -> Finding | None:
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
            f"the LR fell from {before.lr_last:.3g} to {after.lr_first:.3g} after epoch "
            f"{before.epoch}, and the training loss did not",
            "drop it later or by less: the training may be stuck at too low an LR already",
        )
    return None


@RULES.register(
    "swings-at-high-lr",
    "the training loss jumps up by over 25 % at least twice, and only where the LR is"
    " above half of its peak",
)
def swings_at_high_lr(history: History) -> Finding | None:
    epochs, losses = history.epochs, _train(history.epochs)
    peak = _peak(epochs) if epochs else 0.0
    high = [max(e.lr_first, e.lr_last) >= 0.5 * peak for e in epochs]
    if len(losses) != len(epochs) or min(sum(high), len(high) - sum(high)) < 3:
        return None
    jumps = [high[i + 1] for i, (a, b) in enumerate(pairwise(losses)) if b > SWING * a > 0]
    if len(jumps) < 2 or not all(jumps):
        return None
    return Finding(
        f"the training loss jumped up {len(jumps)} times, each time where the LR was above half "
        "of its peak",
        "lower the peak",
    )


@RULES.register(
    "growing-gap",
    "at the ends of at least 3 cycles validation and training loss are further apart each time",
)
def growing_gap(history: History) -> Finding | None:
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
        f"the gap between validation and training loss grew over {len(gaps)} cycles, from "
        f"{gaps[0]:.3g} to {gaps[-1]:.3g}",
        "fewer cycles, a lower peak in later ones, or more --weight-decay",
    )


@RULES.register(
    "stopped-early",
    "an early stop ended the training: at which epoch, at which share of the peak LR",
)
def stopped_early(history: History) -> Finding | None:
    end, epochs = history.end, history.epochs
    if end is None or end.status != "done" or not epochs or len(epochs) >= history.spec.epochs:
        return None
    share = epochs[-1].lr_last / _peak(epochs)
    where = f"stopped early after epoch {len(epochs)} of {history.spec.epochs}"
    if share <= 0.1:
        return Finding(where, "nothing to do: the LR had come down")
    if history.spec.schedule == "constant":
        return Finding(where, "nothing to do: a constant LR has no decay to miss")
    return Finding(
        f"{where}, with the LR at {100 * share:.0f} % of its peak",
        "raise the patience of --early-stop above that of plateau, which then cuts the LR first"
        if watches_training(history.spec.schedule)
        else "for a schedule that decays, raise the patience of --early-stop or shorten --epochs",
    )


def _train(epochs: Sequence[EpochRecord]) -> list[float]:
    return [e.train_loss for e in epochs if e.train_loss is not None]


def _val(epochs: Sequence[EpochRecord]) -> list[float]:
    return [e.val_loss for e in epochs if e.val_loss is not None]


def _with_start(history: History) -> list[float]:
    """The loss of the first batch, followed by the mean training loss of each epoch."""
    start = history.end.start_loss if history.end is not None else None
    losses = _train(history.epochs)
    return [losses[0] if start is None else start, *losses] if losses else [0.0]


def _peak(epochs: Sequence[EpochRecord]) -> float:
    return max(max(e.lr_first, e.lr_last) for e in epochs) or 1.0


def _ratio(before: float, after: float) -> float:
    return after / before if before > 0 else 2.0
