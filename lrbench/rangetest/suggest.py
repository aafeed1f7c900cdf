"""Turns learning rates and losses into a suggestion: how reliable it is, and what to change if it
is not. Pure: arrays in, an answer out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lrbench.errors import UsageError, named_as_in_python
from lrbench.rangetest import reasons as why
from lrbench.rangetest.curve import CUT, FEWEST, Curve, Floats, ending, read_curve, typical_step
from lrbench.rangetest.rules import DEFAULT_RULE, RULES, steepest_index

Grade = Literal["ok", "weak", "none"]

WINDOW = 1.0  # decades
REACHED = 0.1  # fraction of the fall before the start of lr_range, and after its end
# Tuned on other kinds of noise than the tests use: normal, uniform, Student's t, autoregressive,
# 20 to 400 points, 300 draws each (99 % of normal noise lies below 6 at 100 points).
SURE, LIKELY = 9.0, 6.0  # standard errors a fall needs for ok and for weak
SHORT = 20  # points; short curves estimate their noise badly, so require more
FEW = 20
DISAGREE = 0.5  # decades between the 10th and the 90th percentile of the seeds
EDGE = 0.25  # windows
EARLY = 1.0  # decades, or a sixth of the points: a rise within this is early


@dataclass(frozen=True)
class Suggestion:
    """The answer from a range test's curves.

    `lr` is None if `grade` is "none"; `reasons` say why an answer is weak or missing. `band` holds
    the 10th and 90th percentiles over the seeds in log LR (None for one seed), `lr_range` the LRs
    where the loss starts and stops falling, the two ends of a cyclical schedule. `rules` has every
    rule's answer, `smoothed` one row per curve, with NaN after its end.
    """

    lr: float | None
    grade: Grade
    reasons: tuple[str, ...]
    band: tuple[float, float] | None
    lr_range: tuple[float, float] | None
    rules: Mapping[str, float | None]
    smoothed: tuple[Floats, ...]


@named_as_in_python()
def suggest(
    lrs: ArrayLike,
    losses: ArrayLike | Sequence[ArrayLike],
    *,
    rule: str = DEFAULT_RULE,
    window: float = WINDOW,
) -> Suggestion:
    """Read a learning rate off the losses of a range test.

    Each curve is smoothed in log LR and judged on its own, or their mean if at least half of them
    are lost in noise; the answer is the median in log LR. Losses may have any sign. A curve ends at
    its first non-finite loss, or where it blows up.

    Args:
        lrs: the learning rates, positive and increasing, shape (n,).
        losses: one curve, shape (n,), or several, shape (k, n); curves in a list may end early.
        rule: `steepest`, `valley`, `minimum` or `slide`.
        window: full width of the smoothing in decades.

    Raises:
        UsageError: invalid arguments.

    >>> import numpy as np
    >>> lrs = np.logspace(-6, 1, 100)
    >>> loss = 2 - 1 / (1 + (1e-3 / lrs) ** 2) + (lrs / 0.3) ** 2
    >>> answer = suggest(lrs, loss)
    >>> answer.grade, round(answer.lr, 3)
    ('ok', 0.001)
    """
    grid = _grid(lrs)
    rows = _rows(losses, len(grid))
    chosen = RULES.get(rule, option="--rule")
    if not (np.isfinite(window) and window > 0):
        raise UsageError(f"--window {window}: must be a number of decades above 0")
    read = [_read(grid, row, window) for row in rows]
    sure = [curve for curve, reason in read if curve is not None and not reason]
    smoothed = tuple(np.full(len(row), np.nan) for row in rows)
    for (curve, _), values in zip(read, smoothed, strict=True):
        if curve is not None:
            values[: len(curve.u)] = curve.smooth.value
    reasons: tuple[str, ...] = ()
    silent = len(rows) - len(sure)
    if 2 * len(sure) <= len(rows):
        reasons = tuple(dict.fromkeys(reason for _, reason in read if reason))
        pooled = _pooled(grid, rows, window) if {*reasons} <= {why.NOISE} else None
        if pooled is None:
            nothing = dict.fromkeys(RULES.names())
            return Suggestion(None, "none", reasons, None, None, nothing, smoothed)
        sure, silent, reasons = [pooled], 0, (why.POOLED,)

    answers = np.array([chosen.make(curve) for curve in sure])
    low, high = (float(end) for end in 10 ** np.percentile(answers, [10, 90]))
    starts, stops = zip(*map(_fall, sure), strict=True)
    reasons += tuple(_doubts(sure, answers, silent, window))
    return Suggestion(
        lr=_lr(answers),
        grade="weak" if reasons else "ok",
        reasons=reasons,
        band=(low, high) if len(answers) > 1 else None,
        lr_range=(_lr(starts), _lr(stops)),
        rules={rule.name: _lr([rule.make(c) for c in sure]) for rule in RULES},
        smoothed=smoothed,
    )


def _read(grid: Floats, losses: Floats, window: float) -> tuple[Curve | None, str]:
    """A curve, and why it gives no learning rate; empty if it gives one."""
    curve = read_curve(grid, losses, window)
    return curve, _no_answer(losses, curve, grid, window)


def _pooled(grid: Floats, rows: Sequence[Floats], window: float) -> Curve | None:
    """The mean of all seeds' curves, for when too many are lost in noise; None if it gives no
    answer either."""
    if len(rows) < 2:
        return None
    shortest = min(ending(row, CUT, typical_step(row))[0] for row in rows)
    curve, reason = _read(grid, np.mean([row[:shortest] for row in rows], axis=0), window)
    return None if reason else curve


def _grid(lrs: ArrayLike) -> Floats:
    grid = _numbers("lrs", lrs)
    whole = grid.ndim == 1 and len(grid) > 1 and np.isfinite(grid).all()
    if not (whole and grid[0] > 0 and (np.diff(grid) > 0).all()):
        raise UsageError("lrs: pass at least two learning rates, finite, above 0 and rising")
    return grid


def _rows(losses: Any, points: int) -> list[Floats]:
    """The curves as arrays; curves in a list, unlike rows of an array, may end early."""
    wrong = UsageError(f"losses: pass one curve of {points} numbers, or several")
    try:
        rows = [_numbers("losses", row) for row in losses]
    except TypeError:
        raise wrong from None
    whole = hasattr(losses, "shape")
    if rows and all(row.ndim == 0 for row in rows):
        rows, whole = [np.array(rows)], True
    for row in rows:
        if row.ndim != 1 or len(row) > points or (whole and len(row) < points):
            raise wrong
    if not rows:
        raise wrong
    return rows


def _numbers(name: str, values: Any) -> Floats:
    """An array of floats; accepts tensors that require grad or are on a device."""
    plain = values.detach().cpu() if hasattr(values, "detach") else values
    try:
        if isinstance(plain, (str, bytes)):
            raise TypeError
        return np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name}: pass numbers in lists of equal length, not {plain!r:.40}"
        ) from None


def _lr(logs: ArrayLike) -> float:
    return float(10 ** np.median(np.asarray(logs)))


def _fall(curve: Curve) -> tuple[float, float]:
    """log10 of the learning rates where the loss starts and stops falling: the last point before
    the steepest that is within a tenth of the drop from the top, and the first point after it that
    is within a tenth of the drop from the bottom."""
    value, steep = curve.smooth.value, steepest_index(curve)
    high = np.flatnonzero(value[: steep + 1] >= value[curve.top] - REACHED * curve.drop)
    low = np.flatnonzero(value[steep:] <= value[curve.bottom] + REACHED * curve.drop)
    first = int(high[-1]) if len(high) else 0
    last = steep + int(low[0]) if len(low) else curve.bottom
    return float(curve.u[first]), float(curve.u[last])


def _no_answer(losses: Floats, curve: Curve | None, lrs: Floats, window: float) -> str:
    """Why a curve gives no learning rate; empty if it gives one."""
    points = 0 if curve is None else len(curve.u)
    if len(lrs) < FEWEST:
        return _too_few(len(lrs))
    if len(losses) and not np.isfinite(losses[0]):
        return why.AT_FIRST
    if curve is None or points < FEWEST:
        if len(losses) >= FEWEST and np.isfinite(losses[:FEWEST]).all():
            return _rising(lrs)
        if len(losses) < len(lrs) or points < len(losses):
            text = f"diverged at once: after {points} steps; lower --start-lr"
            return why.Reason(text, "start_lr", 0.01)
        return _too_few(points)
    if curve.drop <= max(_needed(LIKELY, points) * curve.drop_error, _rounding(curve)):
        return _not_falling(curve, lrs)
    if curve.end == "range" and curve.u[-1] - curve.u[steepest_index(curve)] < EDGE * window:
        text = f"edge: the fall has only begun at {lrs[points - 1]:.2g}; raise --end-lr"
        return why.Reason(text, "end_lr", 100.0)
    return ""


def _too_few(points: int) -> why.Reason:
    text = f"too few points: {points}, at least {FEWEST} are needed; raise --points"
    return why.Reason(text, "points", 2.0)


def _needed(errors: float, points: int) -> float:
    """How many standard errors a fall needs on a curve with this many points."""
    return errors * (1 + SHORT / points)


def _rising(lrs: Floats) -> str:
    """The reason if the loss only rises. On a linear grid, which skips the low end, a lower start
    would not help."""
    return why.COARSE if lrs[1] / lrs[0] > 1.5 * lrs[-1] / lrs[-2] else why.RISING


def _not_falling(curve: Curve, lrs: Floats) -> str:
    """Why the loss does not fall: flat, rising from the start, or lost in noise. Every loss rises
    in the end, so only an early rise means that the learning rates are too high."""
    if float(np.ptp(curve.loss)) <= _rounding(curve):
        return why.FLAT
    value, error = curve.smooth.value, curve.noise * curve.smooth.value_gain
    clear = np.hypot(error, error[0]) * _needed(LIKELY, len(value)) + _rounding(curve)
    risen = np.flatnonzero(value - value[0] > clear)
    if not len(risen) and curve.end != "blew up":
        return why.NOISE
    first = int(risen[0]) if len(risen) else len(value) - 1
    early = curve.u[first] - curve.u[0] <= EARLY or 6 * first <= len(lrs)
    return _rising(lrs) if early else why.NOISE


def _rounding(curve: Curve) -> float:
    """The size of float32 rounding errors in the loss."""
    return 1e-6 * float(np.abs(curve.loss).max())


def _doubts(curves: Sequence[Curve], answers: Floats, silent: int, window: float) -> list[str]:
    """Why an answer is weak; empty if there is no reason for doubt.

    Args:
        curves: the curves that gave an answer.
        answers: log10 of their learning rates.
        silent: the number of seeds without an answer.
    """
    fewest = min(len(curve.u) for curve in curves)
    spread = float(np.subtract(*np.percentile(answers, [90, 10])))
    pairs = [(curve, steepest_index(curve)) for curve in curves]
    found = {
        f"few points: {fewest}; raise --points": fewest < FEW,
        "noisy: the loss falls little more than its noise; raise --batch-size": _most(
            c.drop < _needed(SURE, len(c.u)) * c.drop_error for c in curves
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
    return float(np.mean(list(flags))) > 0.5
