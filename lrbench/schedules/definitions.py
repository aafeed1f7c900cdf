"""How a schedule is defined: one plain function, registered under its own name.

    @register(family="ordered")
    def halving(t: int, T: int, b: float, E: int, *, by: Positive = 2.0) -> float:
        '''Divides the LR after every epoch. Formula: `b / by^floor(t/E)`.'''
        return b / by ** (t // E)

The function returns the LR at step `t` of its phase (from 0, possibly past the end). It names
what it needs: `T` the steps of the phase, `b` the base LR, `E` the steps of an epoch. All other
arguments are parameters of the spec; those before a `*` print by position, and a trailing
underscore is not part of a name in specs. A ValueError says that the arguments do not fit. The
annotation says what a spec may write and what the function gets:

    Steps    a length (`10ep`, `5%`)         whole steps, at least 1
    Span     a length                        steps, not rounded
    Mark     a moment (milestones)           whole steps, at least 1
    Rate     an LR (`1e-5`, `1%`)            that LR
    Expression  an expression in quotes      a function of CLOCK_NAMES

and `float`, `int`, `bool`, `str`, `Literal`, `tuple[T, ...]`, `T | None`, with `Bounds` and `Timed`
in an `Annotated`. A default that is a percentage is a share of the phase.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

from lrbench.errors import Notice
from lrbench.registry import Registry
from lrbench.schedules.expression import Formula
from lrbench.schedules.units import Clock, Length, Level, Moment

Update = Literal["step", "epoch"]
Family = Literal["ordered", "cyclic", "warmup", "adaptive", "custom"]
Numbers = Mapping[str, Any]
NoticeRule = Callable[[Any, Clock, Numbers], Iterable[Notice]]
MISSING: Any = inspect.Parameter.empty
INPUTS = ("t", "T", "b", "E", "n")  # what the run gives to a function; all else are parameters
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Bounds:
    """The limits of a number, included unless `open`."""

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
    """How a plain number changes when the schedule is stretched to another length of run."""

    FACTOR = "the LR is multiplied by it once per epoch, or per step"
    RATE = "so much per epoch"
    EPOCHS = "a number of epochs"


Positive = Annotated[float, Bounds(0, open=True)]
NonNegative = Annotated[float, Bounds(0)]
AtLeastOne = Annotated[float, Bounds(1)]
Share = Annotated[float, Bounds(0, 1)]
FactorPerTime = Annotated[float, Bounds(0, open=True), Timed.FACTOR]
RatePerEpoch = Annotated[float, Bounds(0), Timed.RATE]
Steps = Annotated[int, Length]
Span = Annotated[float, Length]
Mark = Annotated[int, Moment]
Rate = Annotated[float, Level]
Expression = Annotated[Callable[..., float], Formula]

# Defaults, written as in a spec; a percentage is a share of the phase.
ZERO: Any = Level(0)
TENTH: Any = Level(10, relative=True)
FULL: Any = Level(100, relative=True)


@dataclass(frozen=True)
class Param:
    """A parameter: its name in specs and in Python, its type, its default."""

    name: str
    python: str
    annotation: Any
    default: Any = None
    positional: bool = True

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def is_word(self) -> bool:
        """Whether its texts print without quotes: one of a list of words."""
        return "Literal[" in str(self.annotation)

    def number(self, value: Any, clock: Clock, lr: float) -> Any:
        """What the function gets for a value of a spec, or for the default (None: the same)."""
        if isinstance(value, tuple):
            return tuple(self.number(item, clock, lr) for item in value)
        if isinstance(value, Length):
            whole = int in flattened(self.annotation)
            return value.steps(clock) if whole else value.on(clock)
        return value.of(lr) if isinstance(value, Level) else value


def flattened(annotation: Any) -> Iterator[Any]:
    """A type and all types and marks in it."""
    yield annotation
    for part in get_args(annotation):
        yield from flattened(part)


@dataclass(frozen=True)
class Definition:
    """A registered schedule; see `register` for the fields."""

    name: str
    function: Callable[..., Any]
    params: tuple[Param, ...] = ()
    update: Update = "step"
    jumps: bool = False
    decays: bool = False
    own_scale: bool = False
    counts: bool = False
    of_torch: bool = False
    watches: Callable[[Numbers], str] | None = None
    fixed: Callable[[Numbers], float | None] | None = None
    momentum: Callable[..., float | None] | None = None
    in_torch: Callable[..., str | None] | None = None
    notices: tuple[NoticeRule, ...] = ()

    def param(self, name: str) -> Param | None:
        """The parameter of that name in specs."""
        return next((param for param in self.params if param.name == name), None)

    @property
    def has_length(self) -> bool:
        """Whether its own parameter `length` says how long it lasts."""
        return self.param("length") is not None

    def numbers(self, given: Mapping[str, Any], clock: Clock, lr: float) -> dict[str, Any]:
        """The arguments of the function, by their Python names, on the clock of a phase."""
        return {
            param.python: param.number(given[param.name], clock, lr)
            if param.name in given
            else param.number(param.default, clock.alone(), lr)
            for param in self.params
        }


SCHEDULES: Registry[Definition] = Registry(
    "schedule", "lrbench.schedules", skip=("torch_bridge", "torch_run")
)


def register(
    *,
    family: Family,
    torch: str = "",
    length: Length | None = MISSING,
    update: Update = "step",
    jumps: bool = False,
    decays: bool = False,
    own_scale: bool = False,
    of_torch: bool = False,
    watches: Callable[[Numbers], str] | None = None,
    fixed: Callable[[Numbers], float | None] | None = None,
    momentum: Callable[..., float | None] | None = None,
    in_torch: Callable[..., str | None] | None = None,
    notices: Iterable[NoticeRule] = (),
    **facts: Any,
) -> Callable[[F], F]:
    """Make a function a schedule. Its docstring's first line is the summary in listings, and what
    stands between backticks after `Formula:` the formula.

    Args:
        torch: the class of torch that gives the same LRs, for listings.
        length: the schedule has a parameter `length`, its own duration, with this default.
        update: whether the LR changes at every step or once an epoch, unless the spec says.
        jumps: the LR jumps at boundaries (stairs, restarts): a phase that has ended holds the LR
            of its last step, not the one that the boundary would bring.
        decays: meant to end low: ending above a tenth of the peak is worth a warning.
        own_scale: its highest LR is not the base LR by design.
        of_torch: it names a class of torch, which is run itself.
        watches: the metric that it adapts to, from its arguments; the function is then called
            with the base LR and its parameters, and returns a `Plateau`.
        fixed: the LR that its arguments name, None where they name none.
        momentum: (t, T, **parameters) -> momentum; may add parameters of its own.
        in_torch: (T, b, **arguments) -> the same in torch's classes as a spec, to be printed as
            code; it is checked before it is used, so it need not be right for all arguments.
        notices: rules (call, clock, arguments) -> notices, asked before training.

    Raises:
        ValueError: the name is taken.
    """

    def add(function: F) -> F:
        own = () if length is MISSING else (Param("length", "length", Length | None, length),)
        params = dict.fromkeys([*own, *parameters(function), *parameters(momentum)])
        definition = Definition(
            function.__name__, function, tuple(params), update, jumps, decays, own_scale,
            of_torch and watches is None, of_torch, watches, fixed, momentum, in_torch,
            tuple(notices),
        )  # fmt: skip
        summary, formula = described(function)
        facts.update(family=family, formula=formula, torch=torch)
        SCHEDULES.register(definition.name, summary, **facts)(definition)
        return function

    return add


def parameters(function: Callable[..., Any] | None) -> list[Param]:
    """The parameters that a spec may set."""
    if function is None:
        return []
    hints = get_type_hints(function, include_extras=True)
    return [
        Param(
            name=found.name.removesuffix("_"),
            python=found.name,
            annotation=hints[found.name],
            default=found.default,
            positional=found.kind is found.POSITIONAL_OR_KEYWORD,
        )
        for found in inspect.signature(function).parameters.values()
        if found.name not in INPUTS
    ]


def described(function: Callable[..., Any]) -> tuple[str, str]:
    """The summary and the formula in a docstring.

    Raises:
        ValueError: it has no first line.
    """
    text = inspect.getdoc(function)
    if not text:
        raise ValueError(f"{function.__name__} needs a docstring: its first line is listed")
    first = text.splitlines()[0].split(" Formula:")[0].rstrip(".")
    formula = re.search(r"Formula:\s+`([^`]+)`", text)
    return first[0].lower() + first[1:], " ".join(formula[1].split()) if formula else ""
