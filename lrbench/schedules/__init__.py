"""Learning-rate schedules: pure functions of the step, named by specs.

    >>> from lrbench import schedules
    >>> schedules.parse("warmup(2it) + linear").table(lr=1.0, steps=4, steps_per_epoch=2)
    [0.5, 1.0, 1.0, 0.5]

Only `to_torch`, `code`, and binding one of torch's own names to a run import torch.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

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
from lrbench.schedules.units import Clock, Length, Level
from lrbench.schedules.variants import Variants, expand, variants

if TYPE_CHECKING:
    from lrbench.schedules.torch_bridge import to_torch as to_torch

__all__ = [
    "Bound", "Call", "Clock", "Expression", "Length", "Level", "Mark", "Rate", "Schedule",
    "Span", "Steps", "Variants", "catalogue", "check", "code", "early_stop_notices", "expand",
    "parse", "register", "stretched", "to_torch", "variants",
]  # fmt: skip


def catalogue() -> Iterable[Entry[Definition]]:
    """All schedules, sorted by family: name, summary, and the facts family, formula, torch."""
    return sorted(SCHEDULES, key=lambda entry: FAMILIES.index(entry.facts["family"]))


def __getattr__(name: str) -> Any:
    if name == "to_torch":  # imports torch
        from lrbench.schedules.torch_bridge import to_torch

        return to_torch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
