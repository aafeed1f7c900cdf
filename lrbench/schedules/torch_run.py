"""torch's own schedulers, run on a throw-away optimizer: their LRs and momenta as a table."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch.optim import lr_scheduler

from lrbench.errors import UsageError
from lrbench.schedules.expression import Formula
from lrbench.schedules.spec import Call
from lrbench.schedules.torch_names import arguments_of, nested_counts

OWN_MOMENTUM = 0.123456789  # of the throw-away optimizer: any other was written by a scheduler
Make = Callable[[torch.optim.Optimizer], Any]


class Stepped:
    """A scheduler of torch, stepped as far as has been asked; any count may be asked.

    Far past the end of the run the last LR stays, and where torch refuses to go on, as
    `OneCycleLR` does past its end.
    """

    def __init__(self, call: Call, counts: int, lr: float) -> None:
        self._key = (call, counts, lr)
        self._far = 2 * counts + 1000
        self._rows: list[tuple[float, float]] = []
        self._ahead = walked(partial(made, call, counts, lr), lr)
        try:
            self._reach(counts - 1)
        except UsageError:
            raise
        except Exception as fault:  # torch refuses in many ways
            why = str(fault) or type(fault).__name__
            raise UsageError(f"torch refuses {call}: {' '.join(why.split())}") from None

    @property
    def known(self) -> int:
        """How many rows there are: fewer than the counts of the run where torch ends before."""
        return len(self._rows)

    def lr(self, count: int) -> float:
        """The LR after `count` calls of `step()`."""
        return self._row(count)[0]

    def momentum(self, count: int) -> float | None:
        """The momentum, None where no scheduler has written one."""
        momentum = self._row(count)[1]
        return None if momentum == OWN_MOMENTUM else momentum

    def __reduce__(self) -> tuple[Any, ...]:
        return of_call, self._key

    def _row(self, count: int) -> tuple[float, float]:
        self._reach(min(count, self._far))
        return self._rows[min(count, self._far, len(self._rows) - 1)]

    def _reach(self, count: int) -> None:
        missing = count + 1 - len(self._rows)
        if missing > 0:
            try:
                self._rows.extend(itertools.islice(self._ahead, missing))
            except (ValueError, OverflowError):  # a OneCycleLR is over, CyclicLR's 2**cycle
                if not self._rows:
                    raise


@dataclass(frozen=True)
class Table:
    """LRs and momenta by the number of calls of `step()`; past the end the last stay."""

    rows: Sequence[tuple[float, float]]
    moves: bool  # whether the momentum is the scheduler's

    def lr(self, count: int) -> float:
        return self.rows[min(count, len(self.rows) - 1)][0]

    def momentum(self, count: int) -> float | None:
        return self.rows[min(count, len(self.rows) - 1)][1] if self.moves else None


@lru_cache(maxsize=64)
def of_call(call: Call, counts: int, lr: float) -> Stepped:
    """The class of torch that a call names, stepped through a phase of so many counts.

    Raises:
        UsageError: torch refuses its arguments, or to step it that far.
    """
    return Stepped(call, counts, lr)


def walked(make: Make, lr: float, momentum: float = OWN_MOMENTUM) -> Iterator[tuple[float, float]]:
    """LR and momentum before each `step()` of the scheduler that `make` makes; those of a
    `OneCycleLR` end with its last step."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=lr, momentum=momentum)
    scheduler, group = make(optimizer), optimizer.param_groups[0]
    for _ in range(getattr(scheduler, "total_steps", 10**9) - 1):
        yield float(group["lr"]), float(group["momentum"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that optimizer.step() is not called
            scheduler.step()
    yield float(group["lr"]), float(group["momentum"])


def made(call: Call, counts: int, lr: float, optimizer: torch.optim.Optimizer) -> Any:
    """The scheduler that a call stands for.

    Raises:
        UsageError: something that torch's classes cannot hold is nested.
    """
    arguments = arguments_of(call, counts, lr)
    if "schedulers" in arguments:
        parts = arguments["schedulers"]
        for part in parts:
            _check_nested(call, part)
        pairs = zip(parts, nested_counts(call, counts), strict=True)
        arguments["schedulers"] = [made(part, own, lr, optimizer) for part, own in pairs]
    if "lr_lambda" in arguments:
        arguments["lr_lambda"] = partial(_of_count, arguments["lr_lambda"], counts)
    if "milestones" in arguments:
        arguments["milestones"] = list(arguments["milestones"])
    given = {} if call.name == "ChainedScheduler" else {"optimizer": optimizer}
    return getattr(lr_scheduler, call.name)(**given, **arguments)


def _check_nested(call: Call, part: Call) -> None:
    if not part.definition.counts:
        raise UsageError(
            f"{call.name} takes torch's schedulers, without ReduceLROnPlateau, and not {part}",
            hint="put other schedules in a row with +",
        )
    if part.update or part.duration:
        raise UsageError(
            f"{call.name} steps what it holds: {part} takes no update= or duration= in it"
        )


def _of_count(formula: Formula, counts: int, count: int) -> float:
    return formula(count, counts, count, counts, count / counts)


def from_factory(
    factory: Callable[..., Any], lr: float, counts: int, arguments: Mapping[str, Any]
) -> Table:
    """What the scheduler of `factory(optimizer, **arguments)` does in `counts` calls of `step()`;
    past them the last values stay. The user's exceptions come out unchanged.

    Raises:
        UsageError: it makes something else than a scheduler, or one that needs a metric.
    """

    def checked(optimizer: torch.optim.Optimizer) -> Any:
        scheduler = factory(optimizer, **arguments)
        _check_scheduler(factory, scheduler)
        return scheduler

    rows = tuple(itertools.islice(walked(checked, lr, momentum=0.9), counts))
    return Table(rows, any(momentum != 0.9 for _, momentum in rows))


def _check_scheduler(factory: Callable[..., Any], scheduler: Any) -> None:
    name = getattr(factory, "__name__", str(factory))
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        raise UsageError(
            f"{name} makes a ReduceLROnPlateau, which needs a metric",
            hint="write plateau or ReduceLROnPlateau(...) as the schedule",
        )
    if not callable(getattr(scheduler, "step", None)):
        raise UsageError(f"{name} makes a {type(scheduler).__name__}, not an LRScheduler")
