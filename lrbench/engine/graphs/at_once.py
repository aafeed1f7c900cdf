"""Measure how many parallel trials a captured step is worth on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lrbench.engine.device import check_device
from lrbench.engine.graphs.program import Program

if TYPE_CHECKING:
    import torch

    from lrbench.experiment import Recipe
    from lrbench.tasks.base import OrderedTask

MAX_TRIALS = 16
MIN_GAIN = 1.15  # what doubling must gain: less could be noise
SPAN_S = 0.2


def worthwhile(rate: Callable[[int], float]) -> int:
    """Double the number of trials while each doubling gives at least 15 % more steps a second;
    `rate(n)` measures n = 1, 2, 4, 8, 16, and no more of them than needed.

    >>> worthwhile({1: 100.0, 2: 190.0, 4: 260.0, 8: 270.0}.__getitem__)
    4
    """
    found, best = 1, rate(1)
    while best and found < MAX_TRIALS and (more := rate(2 * found)) >= MIN_GAIN * best:
        found, best = 2 * found, more
    return found


def probed(task: OrderedTask, recipe: Recipe, device: torch.device) -> int:
    """The best number of parallel trials for the recipe; takes a second or two."""

    def rate(copies: int) -> float:
        try:
            return copies / replay_s(Program(task, recipe, copies))
        except Exception:  # out of memory, random numbers, a failed capture: try no more
            check_device(device)
            return 0.0

    return worthwhile(rate)


def replay_s(program: Program, span_s: float = SPAN_S) -> float:
    """Seconds of one replay at learning rates of zero, averaged over at least `span_s`."""
    program.replay()
    program.wait()
    runs, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < span_s:
        for _ in range(5):
            program.replay()
        runs += 5
        program.wait()
    return spent / runs
