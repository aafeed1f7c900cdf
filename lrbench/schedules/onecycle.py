"""Up once, and down far below the start, with the momentum going the other way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from lrbench.schedules.definitions import Curve, Motion, Positive, Share, register
from lrbench.schedules.units import Clock, Moment

THIRTY_PERCENT = Moment(30, "%")

ANNEAL: dict[str, Callable[[float, float, float], float]] = {
    "cos": lambda start, end, x: end + (start - end) * (1 + math.cos(math.pi * x)) / 2,
    "linear": lambda start, end, x: start + (end - start) * x,
}


@register(
    "onecycle",
    "rises once, then falls far below its start; momentum goes the other way",
    family="cyclic",
    formula="b/div up to b until peak_at, then down to b/div/final_div",
    torch="OneCycleLR",
    decays=True,
)
def onecycle(
    clock: Clock,
    lr: float,
    *,
    peak_at: Moment = THIRTY_PERCENT,
    div: Positive = 25.0,
    final_div: Positive = 1e4,
    anneal: Literal["cos", "linear"] = "cos",
    cycle_momentum: bool = True,
    base_momentum: Share = 0.85,
    max_momentum: Share = 0.95,
) -> Motion:
    """From b/`div` up to the base LR until `peak_at`, then down to b/`div`/`final_div` at the
    last step; the momentum falls from `max_momentum` to `base_momentum` and rises back.

    The peak lies one step before `peak_at`, which is not rounded, as in torch's `OneCycleLR`.
    Source: Smith & Topin 2018, arXiv:1708.07120.

    >>> from lrbench.schedules import parse
    >>> bound = parse("onecycle(anneal=linear)").bind(lr=1.0, steps=10, steps_per_epoch=10)
    >>> [round(bound.lr(step), 6) for step in (0, 1, 2, 9)]
    [0.04, 0.52, 1.0, 4e-06]
    >>> bound.momentum(2)
    0.85
    """
    top, last, way = peak_at.on(clock) - 1, clock.steps - 1, ANNEAL[anneal]
    first, end = lr / div, lr / div / final_div

    def between(start: float, peak: float, finish: float) -> Curve:
        def curve(step: int) -> float:
            if step <= top and step < last:
                return way(start, peak, step / top if top else 1.0)
            return way(peak, finish, min(1.0, (step - top) / (last - top)) if last > top else 1.0)

        return curve

    momentum = between(max_momentum, base_momentum, max_momentum)
    return Motion(between(first, lr, end), momentum if cycle_momentum else None)
