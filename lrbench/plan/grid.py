"""The learning rates that are tried: around the range test's answer, or those that were named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrbench.errors import NoLearningRate
from lrbench.experiment import CompareSpec
from lrbench.schedules.units import tidy


def first_grid(
    spec: CompareSpec, answer: Mapping[str, Any] | None, scale: float = 1.0
) -> tuple[float, ...]:
    """The learning rates to begin with: around the range test's answer, or, where there is none,
    those that were named, times `scale`."""
    if answer is None:
        return spec.lrs if scale == 1 else tuple(tidy(lr * scale) for lr in spec.lrs)
    return log_grid(defended(answer), spec.lr_points, spec.lr_factor)


def log_grid(centre: float, points: int, factor: float) -> tuple[float, ...]:
    """`points` learning rates, each `factor` times the one before, around the centre.

    >>> log_grid(0.1, 3, 2)
    (0.05, 0.1, 0.2)
    """
    first = -(points // 2)
    return tuple(tidy(centre * factor**power) for power in range(first, first + points))


def defended(answer: Mapping[str, Any]) -> float:
    """The range test's LR, to two digits: its third one would be a pretence."""
    lr = answer.get("lr")
    if lr is None:
        reasons = ", ".join(answer.get("reasons", ())) or "no reason given"
        raise NoLearningRate(
            f"the range test found no learning rate that it can defend ({reasons})",
            hint=advice(answer) + ", or look at the curve with lrbench find",
        )
    return tidy(float(lr), 2)


def advice(answer: Mapping[str, Any]) -> str:
    """Which `--lr` to try where the range test gave none, and why."""
    rules = [lr for lr in (answer.get("rules") or {}).values() if lr]
    guess = sorted(rules)[len(rules) // 2] if rules else 0.01
    why = "the middle of what its rules say" if rules else "a usual start"
    return f"try --lr {tidy(guess, 1):g} ({why})"
