"""What torch's own schedulers do, step by step: the values that ours must equal."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import LRScheduler

LR = 0.3


def trace(make: Callable[[SGD], LRScheduler], calls: int) -> tuple[list[float], list[float]]:
    """The LR and the momentum before each call of `scheduler.step()`."""
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.9)
    lrs, momenta = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations; here only its numbers count
        scheduler = make(optimizer)
        for _ in range(calls):
            lrs.append(optimizer.param_groups[0]["lr"])
            momenta.append(optimizer.param_groups[0]["momentum"])
            optimizer.step()
            scheduler.step()
    return lrs, momenta


def per_epoch(values: list[float], steps_per_epoch: int) -> list[float]:
    """Each value for all steps of its epoch."""
    return [value for value in values for _ in range(steps_per_epoch)]


def assert_same(ours: list[float], theirs: list[float], rel: float = 1e-12) -> None:
    """Every one within a relative 1e-12, zeros exactly."""
    assert len(ours) == len(theirs)
    for step, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        assert abs(mine - other) <= rel * max(abs(mine), abs(other)), (step, mine, other)
