"""Learning-rate schedules: pure functions of the step, named by specs.

    >>> from lrbench import schedules
    >>> schedules.parse("warmup(2it) + linear").table(lr=1.0, steps=4, steps_per_epoch=2)
    [0.5, 1.0, 1.0, 0.5]

Only torch's own names import torch, when they are bound to a run, and `to_torch` and `code`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lrbench.registry import Entry
from lrbench.schedules.bound import Bound, Schedule
from lrbench.schedules.code import code
from lrbench.schedules.definitions import (
    FAMILIES,
    SCHEDULES,
    Definition,
    Expression,
    Mark,
    Rate,
    Span,
    Steps,
    register,
)
from lrbench.schedules.notices import check, early_stop_notices
from lrbench.schedules.parse import parse
from lrbench.schedules.spec import Call
from lrbench.schedules.stretch import stretched
from lrbench.schedules.units import Clock, Length, Level, Moment
from lrbench.schedules.variants import Variants, expand, variants

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

__all__ = [
    "Bound", "Call", "Clock", "Expression", "Length", "Level", "Mark", "Moment", "Rate", "Schedule",
    "Span", "Steps", "Variants", "catalogue", "check", "code", "early_stop_notices", "expand",
    "parse", "register", "stretched", "to_torch", "variants",
]  # fmt: skip


def catalogue() -> Iterable[Entry[Definition]]:
    """The schedules, family by family: name, summary, and the facts family, formula, torch."""
    return sorted(SCHEDULES, key=lambda entry: FAMILIES.index(entry.facts["family"]))


def to_torch(
    spec: str | Schedule | Sequence[str | Schedule],
    optimizer: Optimizer,
    steps: int,
    steps_per_epoch: int,
) -> LRScheduler:
    """The schedule as an ordinary `LRScheduler`, to be stepped once after each
    `optimizer.step()`; imports torch.

    Args:
        spec: a spec or a schedule, for all parameter groups; or a sequence, one for each group.
        optimizer: the base LR of a group is its `initial_lr` where it has one, and its `lr`
            otherwise; an LR that is a tensor is filled in place.

    Raises:
        UsageError: a spec or a number is invalid.
    """
    from lrbench.schedules.torch_bridge import to_torch as bridge

    return bridge(spec, optimizer, steps, steps_per_epoch)
