"""From learning rates and losses to a suggestion: pure, arrays in, an answer out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lrbench.errors import UsageError, named_as_in_python
from lrbench.rangetest.curve import CUT, Curve, Floats, ending, read_curve, typical_step
from lrbench.rangetest.grade import NOISE, Grade, doubts, no_answer
from lrbench.rangetest.rules import DEFAULT_RULE, RULES, steepest_index

WINDOW = 1.0  # decades
POOLED = "noisy: only the mean of the seeds' curves falls clearly; raise --seeds or --batch-size"
REACHED = 0.1  # the part of its fall that a loss has done, or has left, at the ends of lr_range


@dataclass(frozen=True)
class Suggestion:
    """The answer of a range test's curves.

    `lr` is None if `grade` is "none"; `reasons` say why an answer is weak or missing. `band` is the
    10th and 90th percentile over the seeds in log LR (None for one seed), `lr_range` where the loss
    starts and stops falling: the two ends of a cyclical schedule. `rules` has the answer of every
    rule. `smoothed` has a row for each curve, NaN after its end.
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

    Each curve is smoothed in log LR and judged by itself, or their mean if each is lost in noise;
    the answer is the median in log LR. Losses may have any sign. A curve ends at its first loss
    that is not finite, and where it blows up.

    Args:
        lrs: the learning rates, positive and rising, shape (n,).
        losses: one curve of shape (n,), or several of shape (k, n); in a list of curves each may
            end early.
        rule: `steepest`, `valley`, `minimum` or `slide`.
        window: of the smoothing, full width in decades.

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
    curves = [read_curve(grid, row, window) for row in rows]
    silence = [no_answer(row, c, grid, window) for row, c in zip(rows, curves, strict=True)]
    sure = [c for c, reason in zip(curves, silence, strict=True) if c is not None and not reason]
    smoothed = tuple(np.full(len(row), np.nan) for row in rows)
    for c, values in zip(curves, smoothed, strict=True):
        if c is not None:
            values[: len(c.u)] = c.smooth.value
    reasons: tuple[str, ...] = ()
    silent = len(rows) - len(sure)
    if 2 * len(sure) <= len(rows):
        pooled = _pooled(grid, rows, silence, window)
        if pooled is None:
            reasons = tuple(dict.fromkeys(reason for reason in silence if reason))
            nothing = dict.fromkeys(RULES.names())
            return Suggestion(None, "none", reasons, None, None, nothing, smoothed)
        sure, silent, reasons = [pooled], 0, (POOLED,)

    answers = np.array([chosen.make(curve) for curve in sure])
    low, high = (float(end) for end in 10 ** np.percentile(answers, [10, 90]))
    starts, stops = zip(*map(_fall, sure), strict=True)
    reasons += tuple(doubts(sure, answers, silent, window))
    return Suggestion(
        lr=_lr(answers),
        grade="weak" if reasons else "ok",
        reasons=reasons,
        band=(low, high) if len(answers) > 1 else None,
        lr_range=(_lr(starts), _lr(stops)),
        rules={rule.name: _lr([rule.make(c) for c in sure]) for rule in RULES},
        smoothed=smoothed,
    )


def _pooled(
    grid: Floats, rows: Sequence[Floats], silence: Sequence[str], window: float
) -> Curve | None:
    """The mean of all seeds' curves, where each alone is lost in its noise; None if there is
    another reason, or if the mean gives no answer either."""
    if len(rows) < 2 or set(silence) - {NOISE, ""}:
        return None
    shortest = min(ending(row, CUT, typical_step(row))[0] for row in rows)
    mean = np.mean([row[:shortest] for row in rows], axis=0)
    curve = read_curve(grid, mean, window)
    return None if no_answer(mean, curve, grid, window) else curve


def _grid(lrs: ArrayLike) -> Floats:
    grid = _numbers("lrs", lrs)
    if grid.ndim != 1 or len(grid) < 2:
        raise UsageError(f"lrs: pass a list of at least two learning rates, not {_shape(grid)}")
    if not (np.isfinite(grid).all() and (grid > 0).all() and (np.diff(grid) > 0).all()):
        raise UsageError("lrs: learning rates must be finite, above 0 and rising")
    return grid


def _rows(losses: Any, points: int) -> list[Floats]:
    """The curves; in a list of curves, though not in an array, each may end early."""
    try:
        listed = [_numbers("losses", row) for row in losses]
    except TypeError:
        raise UsageError(f"losses: pass numbers, not {losses!r:.40}") from None
    if not listed:
        raise UsageError("losses: pass one curve or several")
    if len({row.ndim for row in listed}) > 1:
        raise UsageError("losses: numbers and curves are mixed; pass one curve or several")
    single = listed[0].ndim == 0
    rows = [np.array(listed)] if single else listed
    whole = single or hasattr(losses, "shape")
    for row in rows:
        if row.ndim != 1 or len(row) > points or (whole and len(row) != points):
            raise UsageError(f"losses: a curve has {_shape(row)}, for {points} learning rates")
    return rows


def _numbers(name: str, values: Any) -> Floats:
    """An array of floats, also of a tensor with a gradient or on a device."""
    plain = values.detach().cpu() if hasattr(values, "detach") else values
    try:
        if isinstance(plain, (str, bytes)):
            raise TypeError
        return np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name}: pass numbers in lists of one length, not {plain!r:.40}"
        ) from None


def _shape(values: Floats) -> str:
    return f"{len(values)} points" if values.ndim == 1 else f"shape {values.shape}"


def _lr(logs: ArrayLike) -> float:
    return float(10 ** np.median(np.asarray(logs)))


def _fall(curve: Curve) -> tuple[float, float]:
    """log10 of the learning rates where the loss starts and stops falling: the last point before
    the steepest within a tenth of the drop from the top, and the first after it within a tenth
    from the bottom."""
    value, steep = curve.smooth.value, steepest_index(curve)
    high = np.flatnonzero(value[: steep + 1] >= value[curve.top] - REACHED * curve.drop)
    low = np.flatnonzero(value[steep:] <= value[curve.bottom] + REACHED * curve.drop)
    first = int(high[-1]) if len(high) else 0
    last = steep + int(low[0]) if len(low) else curve.bottom
    return float(curve.u[first]), float(curve.u[last])
