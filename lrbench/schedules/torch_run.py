"""Runs torch's own schedulers on a throwaway optimizer and tabulates LRs and momenta."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch.optim import lr_scheduler

from lrbench.errors import UsageError
from lrbench.schedules import plugin
from lrbench.schedules.spec import Call
from lrbench.schedules.torch_names import arguments_of, nested

OWN_MOMENTUM = 0.123456789  # of the throwaway optimizer; a scheduler wrote any other value
Rows = list[tuple[float, float]]


@dataclass
class Stepped:
    """LRs and momenta by number of `step()` calls. Any count can be looked up.

    There are fewer rows than counts if torch's scheduler ends before the run. For counts past the
    run, `further` makes a longer table. Past the last row, the last values are held.
    """

    rows: Rows
    further: Callable[[], Rows] | None = None

    def lr(self, count: int) -> float:
        return self._row(count)[0]

    def momentum(self, count: int) -> float | None:
        """The momentum; None if no scheduler has written one."""
        momentum = self._row(count)[1]
        return None if momentum == OWN_MOMENTUM else momentum

    def _row(self, count: int) -> tuple[float, float]:
        if count >= len(self.rows) and self.further is not None:
            self.rows, self.further = self.further(), None
        return self.rows[min(count, len(self.rows) - 1)]


def stepped(call: Call, counts: int, lr: float) -> Stepped:
    """torch's class or the user's factory, stepped through a phase of `counts` counts."""
    if call.is_plugin:
        return Stepped(walked(partial(_from_factory, call), counts, lr, OWN_MOMENTUM))
    return of_call(call, counts, lr)


@lru_cache(maxsize=64)
def of_call(call: Call, counts: int, lr: float) -> Stepped:
    """The torch class that a call names, stepped through a phase of `counts` counts.

    Raises:
        UsageError: torch rejects its arguments, or cannot step it that far.
    """
    make, ends = partial(made, call, counts, lr), (ValueError, OverflowError)
    further = partial(walked, make, 2 * counts + 1001, lr, OWN_MOMENTUM, (Exception,))
    try:  # OneCycleLR may end earlier; CyclicLR's 2**cycle overflows
        return Stepped(walked(make, counts + 1, lr, OWN_MOMENTUM, ends), further)
    except UsageError:
        raise
    except Exception as fault:  # torch raises many types
        why = str(fault) or type(fault).__name__
        raise UsageError(f"torch refuses {call}: {' '.join(why.split())}") from None


def _from_factory(call: Call, optimizer: torch.optim.Optimizer) -> Any:
    """The user's scheduler; the user's exceptions propagate unchanged."""
    factory = plugin.load(call.name).function
    scheduler = factory(optimizer, **dict(call.args))
    name = getattr(factory, "__name__", str(factory))
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        raise UsageError(
            f"{name} makes a ReduceLROnPlateau, which needs a metric",
            hint="write plateau or ReduceLROnPlateau(...) as the schedule",
        )
    if not callable(getattr(scheduler, "step", None)):
        raise UsageError(f"{name} makes a {type(scheduler).__name__}, not an LRScheduler")
    return scheduler


def walked(
    make: Callable[[torch.optim.Optimizer], Any],
    counts: int,
    lr: float,
    momentum: float,
    ends: tuple[type[Exception], ...] = (),
) -> Rows:
    """LR and momentum before each of `counts` calls of `step()` on the scheduler that `make`
    returns. There are fewer if the scheduler ends earlier: OneCycleLR by its `total_steps`, others
    by raising one of `ends`."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=lr, momentum=momentum)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optimizer.step() is never called
        scheduler, group = make(optimizer), optimizer.param_groups[0]
        rows = [(float(group["lr"]), float(group["momentum"]))]
        try:
            for _ in range(min(counts, getattr(scheduler, "total_steps", counts)) - 1):
                scheduler.step()
                rows.append((float(group["lr"]), float(group["momentum"])))
        except ends:
            pass
    return rows


def made(call: Call, counts: int, lr: float, optimizer: torch.optim.Optimizer) -> Any:
    """The scheduler that a call describes."""
    arguments = arguments_of(call, counts, lr)
    if "schedulers" in arguments:
        parts = nested(call, counts)
        for part, _ in parts:
            own = part.update or part.duration or part.clock or part.factors
            if own or not part.definition.counts:
                what = "schedulers except ReduceLROnPlateau, without update=, duration= or clock="
                raise UsageError(f"{call.name} takes torch's {what}, not {part}")
        arguments["schedulers"] = [made(part, own, lr, optimizer) for part, own in parts]
    if formula := arguments.get("lr_lambda"):
        arguments["lr_lambda"] = lambda n: formula(n, counts, n, counts, n / counts)
    if "milestones" in arguments:
        arguments["milestones"] = list(arguments["milestones"])
    given = {} if call.name == "ChainedScheduler" else {"optimizer": optimizer}
    return getattr(lr_scheduler, call.name)(**given, **arguments)
