"""How far a range test's answer can be trusted, and what to change if it cannot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from lrbench.rangetest.curve import FEWEST, Curve, Floats
from lrbench.rangetest.rules import steepest_index

Grade = Literal["ok", "weak", "none"]

# Set on noise of other shapes than the tests': normal, uniform, Student's t and autoregressive,
# 20 to 400 points, 300 draws each (99 % of normal noise lies below 6 at 100 points).
SURE, LIKELY = 9.0, 6.0  # standard errors that a fall must have for ok, for weak
SHORT = 20  # fewer points make the noise itself uncertain: more errors are asked for
FEW = 20
DISAGREE = 0.5  # decades between the 10th and the 90th percentile of the seeds
EDGE = 0.25  # windows
EARLY = 1.0  # decades, or a sixth of the points, within which a loss rises from the start


class Reason(str):
    """Why a sweep gives no answer, as a sentence. Another test with the value of `option` times
    `factor` may give one; no option: none is known to help."""

    option: str
    factor: float

    def __new__(cls, text: str, option: str = "", factor: float = 1.0) -> Reason:
        made = super().__new__(cls, text)
        made.option, made.factor = option, factor
        return made


FLAT = Reason("flat: the loss does not change; raise --end-lr", "end_lr", 100.0)
UNREACHED = Reason("flat: no gradient reaches the parameters; look at --loss and what it trains")
NOISE = Reason("noise: the loss falls no more than its noise; raise --seeds or --batch-size")
RISING = Reason("rising: the loss only rises; lower --start-lr", "start_lr", 0.01)
COARSE = Reason(
    "rising: the loss falls at the first steps at most; lower --end-lr, or use --mode exp",
    "end_lr",
    0.1,
)
AT_FIRST = Reason("diverged at once: the first loss is not finite; look at the data and --loss")

# What makes an answer weak, or none, after the sweep itself.
HIGHEST = "edge: the highest LR that was tried is the best; raise --end-lr"
LOWEST = "edge: the lowest LR that was tried is the best"
UNSTABLE = "unstable: its highest LR is above the largest stable one; a longer run may diverge"
UNVERIFIED = "unstable: its highest LR is above the largest stable one; use that, or pass --verify"
UNTRAINED = "untrained: no short training ends below its start; look at --loss and what it trains"
UNCLEAR = (
    "unclear: short trainings end below their start by no more than the seeds differ; give more "
    "validation data"
)
ORDERED = (
    "ordered: the loss moves with the order of the batches, which was subtracted; shuffle them"
)
ONE_CURVE = "one curve: every seed trains on the same batches; shuffle them, or pass make_model"
DECIDED = (
    "noisy: the sweep is lost in noise, short trainings decided; raise --seeds or --batch-size"
)


def no_answer(losses: Floats, curve: Curve | None, lrs: Floats, window: float) -> str:
    """Why a curve gives no learning rate; empty if it gives one."""
    points = 0 if curve is None else len(curve.u)
    if len(lrs) < FEWEST:
        return _too_few(len(lrs))
    if len(losses) and not np.isfinite(losses[0]):
        return AT_FIRST
    if curve is None or points < FEWEST:
        if len(losses) >= FEWEST and np.isfinite(losses[:FEWEST]).all():
            return _rising(lrs)
        if len(losses) < len(lrs) or points < len(losses):
            text = f"diverged at once: after {points} steps; lower --start-lr"
            return Reason(text, "start_lr", 0.01)
        return _too_few(points)
    if curve.drop <= max(asked(LIKELY, points) * curve.drop_error, _rounding(curve)):
        return _not_falling(curve, lrs)
    if curve.end == "range" and curve.u[-1] - curve.u[steepest_index(curve)] < EDGE * window:
        text = f"edge: the fall has only begun at {lrs[points - 1]:.2g}; raise --end-lr"
        return Reason(text, "end_lr", 100.0)
    return ""


def _too_few(points: int) -> Reason:
    text = f"too few points: {points}, at least {FEWEST} are needed; raise --points"
    return Reason(text, "points", 2.0)


def asked(errors: float, points: int) -> float:
    """The standard errors that a fall must have on a curve of so many points."""
    return errors * (1 + SHORT / points)


def _rising(lrs: Floats) -> str:
    """What to change if the loss only rises. A linear grid skips its low end, where a lower start
    would change nothing."""
    return COARSE if lrs[1] / lrs[0] > 1.5 * lrs[-1] / lrs[-2] else RISING


def _not_falling(curve: Curve, lrs: Floats) -> str:
    """Flat, rising from the start, or lost in its noise. Every loss rises in the end, so only an
    early rise means that the learning rates are too high."""
    if float(np.ptp(curve.loss)) <= _rounding(curve):
        return FLAT
    value, error = curve.smooth.value, curve.noise * curve.smooth.value_gain
    clear = np.hypot(error, error[0]) * asked(LIKELY, len(value)) + _rounding(curve)
    risen = np.flatnonzero(value - value[0] > clear)
    if not len(risen) and curve.end != "blew up":
        return NOISE
    first = int(risen[0]) if len(risen) else len(value) - 1
    early = curve.u[first] - curve.u[0] <= EARLY or 6 * first <= len(lrs)
    return _rising(lrs) if early else NOISE


def _rounding(curve: Curve) -> float:
    """The size of float32 rounding errors of the loss."""
    return 1e-6 * float(np.abs(curve.loss).max())


def doubts(curves: Sequence[Curve], answers: Floats, silent: int, window: float) -> list[str]:
    """Why an answer is weak; empty if nothing speaks against it.

    Args:
        curves: the curves that gave an answer.
        answers: log10 of their learning rates.
        silent: the number of seeds that gave none.
    """
    fewest = min(len(curve.u) for curve in curves)
    spread = float(np.subtract(*np.percentile(answers, [90, 10])))
    pairs = [(curve, steepest_index(curve)) for curve in curves]
    found = {
        f"few points: {fewest}; raise --points": fewest < FEW,
        "noisy: the loss falls little more than its noise; raise --batch-size": _most(
            c.drop < asked(SURE, len(c.u)) * c.drop_error for c in curves
        ),
        "shallow: the steepest slope is below three standard errors; raise --seeds": _most(
            c.smooth.slope[i] > -3 * c.slope_error[i] for c, i in pairs
        ),
        "edge: the loss is lowest at the end of the range; raise --end-lr": _most(
            c.end == "range" and c.bottom == len(c.u) - 1 for c in curves
        ),
        "edge: the loss falls from the first steps on; lower --start-lr": _most(
            c.u[i] - c.u[0] < EDGE * window for c, i in pairs
        ),
        f"seeds disagree: by {spread:.1f} decades; raise --seeds": spread > DISAGREE,
        f"seeds disagree: {silent} of {silent + len(curves)} gave no answer": silent > 0,
    }
    return [text for text, holds in found.items() if holds]


def _most(flags: Iterable[bool]) -> bool:
    listed = list(flags)
    return bool(2 * sum(listed) > len(listed))
