"""How a schedule is defined: one plain function, registered under its own name.

    @register(family="ordered")
    def halving(t: int, T: int, b: float, E: int, *, by: Positive = 2.0) -> float:
        '''Divides the LR after every epoch. Formula: `b / by^floor(t/E)`.'''
        return b / by ** (t // E)

The function returns the LR at step `t` of its phase (from 0, possibly past the end) and raises a
ValueError if its arguments are invalid. It takes any of `INPUTS`: `T` the steps of the phase, `b`
the base LR, `E` the steps of an epoch. All other arguments are parameters of the spec, annotated
with the types below. The first prints without its name unless it follows a `*`. Names in specs drop
a trailing underscore. A default length in per cent is a share of the phase. A parameter `length`
sets how long the schedule lasts.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, get_args

from lrbench.registry import Registry
from lrbench.schedules.expression import Formula
from lrbench.schedules.units import Clock, Length, Level

Update = Literal["step", "epoch"]
Family = Literal["ordered", "cyclic", "warmup", "adaptive", "custom"]
FAMILIES: tuple[str, ...] = get_args(Family)
Numbers = Mapping[str, Any]
MISSING: Any = inspect.Parameter.empty
INPUTS = ("t", "T", "b", "E", "n")  # supplied by the run; all others are parameters
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Bounds:
    """The limits of a number, inclusive unless `open`."""

    low: float
    high: float = float("inf")
    open: bool = False

    def __contains__(self, value: float) -> bool:
        inside = self.low <= value <= self.high
        return inside and not (self.open and value in (self.low, self.high))

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.open else f"at least {self.low:g}"
        if self.high == float("inf"):
            return low
        return f"{low} and {'below' if self.open else 'at most'} {self.high:g}"


class Timed(Enum):
    """How a plain number changes when the schedule is stretched to a run of another length."""

    FACTOR = "the LR is multiplied by it once per epoch, or per step"
    RATE = "an amount per epoch"
    EPOCHS = "a number of epochs"


Positive = Annotated[float, Bounds(0, open=True)]
NonNegative = Annotated[float, Bounds(0)]
AtLeastOne = Annotated[float, Bounds(1)]
Share = Annotated[float, Bounds(0, 1)]
Fraction = Annotated[float, Bounds(0, 1, open=True)]
Count = Annotated[int, Bounds(1)]
FactorPerTime = Annotated[float, Bounds(0, open=True), Timed.FACTOR]
RatePerEpoch = Annotated[float, Bounds(0), Timed.RATE]
Steps = Annotated[int, Length]  # a length (`10ep`, `5%`) as whole steps, at least 1
Span = Annotated[float, Length]  # a length in steps, not rounded
Mark = Steps  # a time from the start of the phase; takes effect at that step
Rate = Annotated[float, Level]  # an LR (`1e-5`, `1%`)
Expression = Annotated[Callable[..., float], Formula]  # of CLOCK_NAMES, in quotes

# Defaults in per cent of the base LR and of the phase.
ZERO: Any = Level(0)
BASE: dict[int, Any] = {n: Level(n, relative=True) for n in (1, 10, 100, 500, 1000)}
PHASE: dict[int, Any] = {n: Length(n, "%") for n in (5, 10, 20, 30, 50, 75)}


@dataclass(frozen=True)
class Param:
    """A parameter: its name in Python, its type, its default."""

    python: str
    annotation: Any
    default: Any = None
    positional: bool = True

    @property
    def name(self) -> str:
        return self.python.removesuffix("_")

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def is_word(self) -> bool:
        """True if its values are words from a fixed list, which print without quotes."""
        return "Literal[" in str(self.annotation)

    def number(self, value: Any, clock: Clock, lr: float) -> Any:
        """A value from a spec, converted for the function."""
        if isinstance(value, tuple):
            return tuple(self.number(item, clock, lr) for item in value)
        if isinstance(value, Length):
            whole = int in flattened(self.annotation)
            return value.steps(clock) if whole else value.on(clock)
        return value.of(lr) if isinstance(value, Level) else value


def flattened(annotation: Any) -> Iterator[Any]:
    """A type, then all types and marks nested in it."""
    yield annotation
    for part in get_args(annotation):
        yield from flattened(part)


@dataclass(frozen=True)
class Definition:
    """A registered schedule."""

    name: str
    function: Callable[..., Any]
    params: tuple[Param, ...] = ()
    given: Numbers = field(default_factory=dict)  # fixed arguments
    update: Update = "step"  # how often the LR changes, by default
    jumps: bool = False  # only at boundaries; a finished phase holds the LR of its last step
    decays: bool = False  # meant to end low; ending above a tenth of the peak gives a notice
    own_scale: bool = False  # its peak is not the base LR, by design
    # arguments -> the metric it adapts to; `function` takes the base LR and makes a `Plateau`
    watches: Callable[[Numbers], str] | None = None
    momentum: Callable[..., float | None] | None = None
    # (T, b, **arguments) -> a spec of the same schedule in torch's classes, for printed code; it
    # is checked before use, so it may be wrong
    in_torch: Callable[..., str] | None = None
    # (T, arguments) -> the length of the first cycle, and how cycles grow
    cycle: Callable[[float, Numbers], tuple[float, float]] | None = None
    of_torch: bool = False  # one of torch's classes
    counts: bool = False  # a torch scheduler, evaluated by its number of `step()` calls
    span: str = ""  # the torch argument that sets its length in counts

    def param(self, name: str) -> Param | None:
        return next((param for param in self.params if param.name == name), None)

    def numbers(self, written: Numbers, clock: Clock, lr: float) -> dict[str, Any]:
        """The arguments of the function, by Python name, on the clock of a phase."""
        alone = replace(clock, run_steps=clock.steps)  # defaults are relative to the phase
        found = {
            param.python: param.number(written[param.name], clock, lr)
            if param.name in written
            else param.number(param.default, alone, lr)
            for param in self.params
        }
        return {**found, **self.given}


SCHEDULES: Registry[Definition] = Registry(
    "schedule", "lrbench.schedules", skip=("torch_bridge", "torch_run")
)


def register(
    *,
    family: Family,
    name: str = "",
    doc: str = "",
    given: Numbers | None = None,
    torch: str = "",
    momentum: Callable[..., float | None] | None = None,
    **facts: Any,
) -> Callable[[F], F]:
    """Register a function as a schedule.

    Args:
        name: the function's own by default.
        doc: the function's docstring by default. Its first line is the summary in listings; the
            text in backticks after `Formula:` is the formula.
        given: arguments that this schedule fixes, so that specs cannot set them.
        torch: the torch class that gives the same LRs, for listings.
        momentum: (t, T, **parameters) -> momentum; may add parameters.
        facts: fields of `Definition`, and further facts for listings.

    Raises:
        ValueError: the name is taken, or there is no docstring.
    """

    def add(function: F) -> F:
        fixed, own_name = given or {}, name or function.__name__
        found = parameters(function) + (parameters(momentum) if momentum else [])
        params = tuple(param for param in dict.fromkeys(found) if param.python not in fixed)
        fields = {key: facts.pop(key) for key in set(facts) & set(Definition.__annotations__)}
        definition = Definition(own_name, function, params, fixed, momentum=momentum, **fields)
        text = doc or inspect.getdoc(function) or ""
        if not text:
            raise ValueError(f"{own_name} needs a docstring: its first line is listed")
        first = text.splitlines()[0].split(" Formula:")[0].rstrip(".")
        formula = re.search(r"Formula:\s+`([^`]+)`", text)
        facts.update(family=family, formula=" ".join(formula[1].split()) if formula else "")
        facts["torch"] = torch or (own_name if definition.of_torch else "")
        SCHEDULES.register(own_name, first[0].lower() + first[1:], **facts)(definition)
        return function

    return add


def parameters(function: Callable[..., Any]) -> list[Param]:
    """The parameters that a spec may set."""
    return [
        Param(one.name, one.annotation, one.default, one.kind is not one.KEYWORD_ONLY)
        for one in inspect.signature(function, eval_str=True).parameters.values()
        if one.name not in INPUTS
    ]


def keywords(function: Callable[..., Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The known arguments that a function takes."""
    params = inspect.signature(function).parameters
    if any(param.kind is param.VAR_KEYWORD for param in params.values()):
        return {name: known[name] for name in known if name in params or name not in INPUTS}
    return {name: known[name] for name in params if name in known}
