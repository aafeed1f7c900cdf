"""How many trials side by side in a captured step a device is worth: found by trying."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lrbench.engine.device import check_device
from lrbench.engine.program import Program
from lrbench.engine.repeat import seconds_each

if TYPE_CHECKING:
    import torch

    from lrbench.experiment import Recipe
    from lrbench.tasks.base import OrderedTask

MOST = 16
GAIN = 1.15  # twice as many trials must give more than noise does
SPAN_S = 0.2


def worthwhile(rate: Callable[[int], float]) -> int:
    """The trials at once up to which each doubling gives at least 15 % more steps a second;
    `rate` measures that for 1, 2, 4, 8, 16 of them, and is not asked further than needed.

    >>> worthwhile({1: 100.0, 2: 190.0, 4: 260.0, 8: 270.0}.__getitem__)
    4
    """
    found, best = 1, rate(1)
    while best and found < MOST and (more := rate(2 * found)) >= GAIN * best:
        found, best = 2 * found, more
    return found


def probed(task: OrderedTask, recipe: Recipe, device: torch.device) -> int:
    """The number for this recipe, from a second or two of steps at learning rates of zero."""

    def rate(copies: int) -> float:
        try:
            return copies / _seconds(Program(task, recipe, copies))
        except Exception:  # memory, random numbers, capture: then fewer are trained at once
            check_device(device)
            return 0.0

    return worthwhile(rate)


def _seconds(program: Program) -> float:
    """Seconds of one replay, over at least `SPAN_S` of them."""
    return seconds_each(program.again, program.wait, SPAN_S)
