"""Where to centre each grid: at the range test's LR times what the schedule allows."""

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Context
from functools import lru_cache
from itertools import accumulate
from typing import Any

from lrbench.errors import NoLearningRate, UsageError
from lrbench.schedules import Schedule
from lrbench.schedules.units import tidy

MANY_STEPS = 5_000
MOST_FACTOR = 3.0
SPENT = 1e-4  # of the highest LR: final steps below it move nothing, yet the bound divides by them


def bound_terms(table: Sequence[float]) -> tuple[float, float]:
    """(distance, noise): the last iterate of subgradient descent on a convex function with
    gradients of norm at most 1, started at distance 1, with LRs γ·table, is within
    distance / γ + γ·noise of the minimum (Schaipp et al. 2025, arXiv:2501.18965, theorem 3.1;
    Defazio et al. 2023, arXiv:2310.07831).

    With η the table and S_k the sum of η from k on, and Q_k that of η²:
    distance = 1 / (2 S_1), noise = Q_1 / (2 S_1) + ½ Σ_k η_k Q_k / (S_k S_{k+1}).

    Final steps with almost no LR are left out: the last one of `onecycle` would make its LR in a
    run of six steps 30 times too low.
    """
    steps = [lr for lr in table if lr > 0]
    while steps and steps[-1] < SPENT * max(steps):
        steps.pop()
    if not steps:
        raise UsageError("a schedule without a positive LR trains nothing")
    sums = list(accumulate(reversed(steps)))[::-1]
    squares = list(accumulate(lr * lr for lr in reversed(steps)))[::-1]
    late = math.fsum(
        lr * square / (here * after)
        for lr, square, here, after in zip(steps, squares, sums, sums[1:], strict=False)
    )
    return 1 / (2 * sums[0]), squares[0] / (2 * sums[0]) + late / 2


def lr_factor(table: Sequence[float]) -> float:
    """Ratio of the base LR that minimises the bound, √(distance / noise), to that of a constant
    schedule with as many steps. Multiplying the table divides the factor.

    >>> n = 1200
    >>> round(lr_factor([1 - step / n for step in range(n)]), 1), lr_factor([1.0] * n)
    (2.9, 1.0)
    """
    distance, noise = bound_terms(table)
    flat_distance, flat_noise = bound_terms([1.0] * len(table))
    return math.sqrt(distance / noise / (flat_distance / flat_noise))


@lru_cache(maxsize=4096)
def peak_factor(schedule: Schedule, steps: int, steps_per_epoch: int) -> float:
    """`lr_factor` with respect to a run's highest LR. Longer runs are sampled."""
    bound = schedule.bind(1.0, steps, steps_per_epoch)
    table = [bound.lr(step) for step in range(0, steps, 1 + steps // MANY_STEPS)]
    return lr_factor(table) * max(table)


def largest_tried(stable: float, factor: float) -> float:
    """The largest LR to try, given the largest at which a short training is stable.

    Long trainings become unstable at lower LRs: schedules with the factor of a full decay, 3, get
    half of it, others proportionally less. A warm-up gets no more: it only delays the collapse.
    """
    return stable * min(factor, MOST_FACTOR) / (2 * MOST_FACTOR)


def centre(base: float, factor: float, limit: float = math.inf, reach: float = 1.0) -> float:
    """The middle of a schedule's grid, to two digits: `base * factor`, or less if the top of the
    grid, `reach` times its middle, would exceed the limit."""
    lr = tidy(min(base * factor, limit / reach))
    return float(Context(prec=2, rounding=ROUND_DOWN).create_decimal(str(lr)))


def defended(answer: Mapping[str, Any]) -> float:
    """The range test's LR, to two digits: a third would be false precision."""
    if answer.get("lr") is not None:
        return tidy(float(answer["lr"]), 2)
    reasons = ", ".join(answer.get("reasons", ())) or "no reason given"
    rules = sorted(lr for lr in (answer.get("rules") or {}).values() if lr)
    guess = rules[len(rules) // 2] if rules else 0.01
    why = "the median of its rules" if rules else "a usual start"
    raise NoLearningRate(
        f"the range test found no learning rate that it can defend ({reasons})",
        hint=f"try --lr {tidy(guess, 1):g} ({why}), or look at the curve with lrbench find",
    )
