"""What a schedule is made from: one function with typed parameters, under a name.

    @register("halving", "half the LR at every epoch", family="ordered", formula="b / 2^epoch")
    def halving(clock: Clock, lr: float) -> Curve:
        return lambda step: lr / 2 ** (step // clock.steps_per_epoch)

is all that a new schedule takes. The function gets the clock of its phase, the base LR and its
parameters, and returns the LR as a function of the step (counted from the phase's start, at
least 0, and possibly past the phase's end). A parameter's annotation decides what a spec may
write there: `Length`, `Moment`, `Level`, `Formula`, `float`, `int`, `bool`, `str`, a `Literal` of
words, a `Schedule`, `tuple[T, ...]` of any of them, each with `| None` where the default is
worked out from the run; `Annotated[float, Bounds(...)]` for a number that must lie within limits,
with a `Timed` after the bounds where it is a rate per epoch or a number of epochs.
Parameters before a `*` print by position. A trailing underscore is not part of the spec's name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from lrbench.errors import Notice
from lrbench.registry import Registry
from lrbench.schedules.units import Clock

Curve = Callable[[int], float]
Update = Literal["step", "epoch"]
Family = Literal["ordered", "cyclic", "warmup", "adaptive", "custom"]
Arguments = Mapping[str, Any]
NoticeRule = Callable[[Any, Clock, Arguments], Iterable[Notice]]
MISSING: Any = inspect.Parameter.empty
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Bounds:
    """The limits of a number, the limits themselves included unless `open`."""

    low: float
    high: float = float("inf")
    open: bool = False

    def __contains__(self, value: float) -> bool:
        if self.open:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.open else f"at least {self.low:g}"
        if self.high == float("inf"):
            return low
        return f"{low} and {'below' if self.open else 'at most'} {self.high:g}"


class Timed(Enum):
    """How a plain number depends on time, said beside its bounds: a schedule that is stretched to
    another length of run changes it accordingly."""

    FACTOR = "the LR is multiplied by it once per epoch, or per step"
    RATE = "it is so much per epoch"
    EPOCHS = "it is a number of epochs"


Positive = Annotated[float, Bounds(0, open=True)]
NonNegative = Annotated[float, Bounds(0)]
AtLeastOne = Annotated[float, Bounds(1)]
Share = Annotated[float, Bounds(0, 1)]
FactorPerTime = Annotated[float, Bounds(0, open=True), Timed.FACTOR]
RatePerEpoch = Annotated[float, Bounds(0), Timed.RATE]


@dataclass(frozen=True)
class Motion:
    """What a schedule moves: the LR, and the momentum where it moves that too."""

    lr: Curve
    momentum: Curve | None = None


@dataclass(frozen=True)
class Param:
    """One parameter: its name in specs, its name in Python, its type and its default."""

    name: str
    python: str
    annotation: Any
    default: Any
    positional: bool

    @property
    def required(self) -> bool:
        return self.default is MISSING


@dataclass(frozen=True)
class Definition:
    """A registered schedule: its function, its parameters, and how the clock asks it."""

    name: str
    make: Callable[..., Any]
    params: tuple[Param, ...] = ()
    update: Update = "step"
    counts: bool = False
    jumps: bool = False
    decays: bool = False
    own_scale: bool = False
    takes_optimizer: bool = False
    watches: Callable[[Arguments], str] | None = None
    fixed: Callable[[Arguments], float | None] | None = None
    notices: tuple[NoticeRule, ...] = field(default=())

    def param(self, name: str) -> Param | None:
        """The parameter of that name in specs."""
        return next((param for param in self.params if param.name == name), None)

    @property
    def has_length(self) -> bool:
        """Whether its own parameter `length` says how long it lasts."""
        return self.param("length") is not None


SCHEDULES: Registry[Definition] = Registry("schedule", "lrbench.schedules", skip=("torch_bridge",))


def register(
    name: str,
    summary: str,
    *,
    family: Family,
    formula: str,
    torch: str = "",
    update: Update = "step",
    counts: bool = False,
    jumps: bool = False,
    decays: bool = False,
    own_scale: bool = False,
    takes_optimizer: bool = False,
    watches: Callable[[Arguments], str] | None = None,
    fixed: Callable[[Arguments], float | None] | None = None,
    notices: Iterable[NoticeRule] = (),
    **facts: Any,
) -> Callable[[F], F]:
    """Give a function its name in specs.

    Args:
        summary: one line that says what the schedule does.
        formula: LR at step t, with b the base LR, T the steps of the phase, p = t/T.
        torch: the class of `torch.optim.lr_scheduler` that gives the same LRs.
        update: whether the LR changes at every step or once an epoch, unless the spec says.
        counts: the curve is asked by the number of `scheduler.step()` calls so far, on a clock
            whose unit is such a call: one an epoch or one a step, as `update` says.
        jumps: the LR jumps at boundaries (stairs, restarts): a phase that has ended holds the LR
            of its last step, not the one that the boundary would bring.
        decays: meant to end low: ending above a tenth of the peak is worth a warning.
        own_scale: its highest LR is not the base LR by design.
        takes_optimizer: a first argument `optimizer`, as in pasted code, is dropped.
        watches: the name of the metric that it adapts to, from its arguments.
        fixed: the LR that its arguments name, None where they name none.
        notices: rules (call, clock, arguments) -> notices, asked before training.

    Raises:
        ValueError: the name is taken.
    """

    def add(function: F) -> F:
        definition = Definition(
            name, function, parameters(function), update, counts, jumps, decays, own_scale,
            takes_optimizer, watches, fixed, tuple(notices),
        )  # fmt: skip
        facts.update(family=family, formula=formula, torch=torch)
        SCHEDULES.register(name, summary, **facts)(definition)
        return function

    return add


def parameters(function: Callable[..., Any]) -> tuple[Param, ...]:
    """The parameters that a spec may set: all but the first two, the clock and the base LR."""
    hints = get_type_hints(function, include_extras=True)
    found = list(inspect.signature(function).parameters.values())[2:]
    return tuple(
        Param(
            name=parameter.name.removesuffix("_"),
            python=parameter.name,
            annotation=hints[parameter.name],
            default=parameter.default,
            positional=parameter.kind is parameter.POSITIONAL_OR_KEYWORD,
        )
        for parameter in found
    )
