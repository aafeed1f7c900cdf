"""Where each schedule's grid is to be centred: its best LR relative to the constant schedule's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from lrbench.schedules.units import tidy


def bound_terms(table: Sequence[float]) -> tuple[float, float]:
    """(distance, noise): the last iterate of subgradient descent on a convex function with
    gradients of norm at most 1, started at distance 1, with LRs γ·table, is within
    distance / γ + γ·noise of the minimum (Schaipp et al. 2025, arXiv:2501.18965, theorem 3.1;
    Defazio et al. 2023, arXiv:2310.07831).

    With η the table and S_k the sum of η from k on, and Q_k that of η²:
    distance = 1 / (2 S_1), noise = Q_1 / (2 S_1) + ½ Σ_k η_k Q_k / (S_k S_{k+1}).
    """
    steps = [lr for lr in table if lr > 0]
    if not steps:
        raise ValueError("a table without a positive LR")
    sums = list(accumulate(reversed(steps)))[::-1]
    squares = list(accumulate(lr * lr for lr in reversed(steps)))[::-1]
    late = math.fsum(
        lr * square / (here * after)
        for lr, square, here, after in zip(steps, squares, sums, sums[1:], strict=False)
    )
    return 1 / (2 * sums[0]), squares[0] / (2 * sums[0]) + late / 2


def lr_factor(table: Sequence[float], most: float = math.inf) -> float:
    """The base LR that minimises the bound, √(distance / noise), over that of a constant schedule
    of as many steps; at most `most`. Multiplying the table divides the factor.

    >>> n = 1200
    >>> round(lr_factor([1 - step / n for step in range(n)]), 1), lr_factor([1.0] * n)
    (2.9, 1.0)
    """
    distance, noise = bound_terms(table)
    flat_distance, flat_noise = bound_terms([1.0] * len(table))
    return min(most, math.sqrt(distance / noise / (flat_distance / flat_noise)))


def centre(base: float, factor: float, stable: float | None, headroom: float = 1.0) -> float:
    """The middle of a schedule's grid: the constant schedule's LR times the schedule's factor, at
    most the largest stable LR times what its warm-up allows."""
    lr = base * factor
    return tidy(lr if stable is None else min(lr, stable * headroom))
