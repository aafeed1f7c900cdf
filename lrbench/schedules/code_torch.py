"""Schedules in torch's own classes: candidates that are proposed here, and checked elsewhere.

A proposal need not be right: `code` takes it only if its LRs and momenta are those of the
schedule at every step of the run. So these functions say what torch's class would be, and not
when it fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from lrbench.schedules.base import Call, Segment
from lrbench.schedules.code_bricks import Numbers, clock_names, inlined
from lrbench.schedules.expression import Formula
from lrbench.schedules.units import Clock, Intervals, half_up

WIDTH = 80  # of a call that stays on one line
MAX_PIECES = 12  # of a SequentialLR: more are easier to read as a formula


class Words(str):
    """A piece of code, to be written as it is."""


@dataclass(frozen=True)
class Made:
    """A class of torch with its arguments; an argument may hold others."""

    name: str
    arguments: Numbers


Pieces = list[tuple[int, Made]]  # each from that count of the phase on
CYCLES = Words("cycles_momentum")
ONE = Made("ConstantLR", {"factor": 1.0, "total_iters": 1})


def proposals(found: Sequence[Segment], lr: float, size: int) -> Iterator[Made]:
    """What the phases may be in torch's classes, when `scheduler.step()` is called every `size`
    steps; the most natural one first."""
    if any(segment.clock.start % size for segment in found):
        return
    options = [_phase(segment, lr, size) for segment in found]
    for choice in product(*options):
        parts = [piece for phase in choice for piece in phase]
        if len(parts) == 1:
            yield parts[0][1]
        elif len(parts) <= MAX_PIECES:
            nested = [made for _, made in parts]
            milestones = [start for start, _ in parts[1:]]
            yield Made("SequentialLR", {"schedulers": nested, "milestones": milestones})


def _phase(segment: Segment, lr: float, size: int) -> list[Pieces]:
    """What one phase may be, in calls of `scheduler.step()` since the run began."""
    call, clock = segment.call, segment.clock
    if ":" in call.name:
        return []
    if call.definition.counts:
        choices = [whole(call.name, **filled(call, clock, lr))]
    else:
        propose = PROPOSALS.get(call.name)
        choices = propose(call.arguments, clock, lr, size) if propose else []
    begin = clock.start // size
    return [[(begin + start, made) for start, made in choice] for choice in choices]


def whole(name: str, **arguments: Any) -> Pieces:
    """One class for all of a phase."""
    return [(0, Made(name, arguments))]


def filled(call: Call, clock: Clock, lr: float) -> Numbers:
    """The arguments of one of torch's classes that must be written, those from the run included."""
    counted = clock.counted(call.update or call.definition.update)
    given = {key: value for key, value in call.arguments.items() if value is not None}
    fill = FROM_RUN.get(call.name)
    arguments = {**(fill(given, counted.steps, lr) if fill else {}), **dict(call.args)}
    if call.arguments.get("cycle_momentum"):
        arguments["cycle_momentum"] = CYCLES
    if "schedulers" in arguments:
        schedulers = arguments["schedulers"]
        starts = [0, *arguments.get("milestones", [0] * len(schedulers))]
        clocks = [counted.phase(start, max(1, counted.steps - start)) for start in starts]
        arguments["schedulers"] = [
            Made(nested.name, filled(nested, own, lr))
            for nested, own in zip(schedulers, clocks, strict=False)
        ]
    return arguments


def _one_cycle_from_run(given: Numbers, counts: int, lr: float) -> Numbers:
    length = {} if {"epochs", "total_steps"} & set(given) else {"total_steps": counts}
    return {"max_lr": lr, **length}


def _cyclic_from_run(given: Numbers, counts: int, lr: float) -> Numbers:
    return {"base_lr": given.get("max_lr", lr) / 10, "max_lr": lr}


FROM_RUN: dict[str, Callable[[Numbers, int, float], Numbers]] = {
    "StepLR": lambda given, counts, lr: {"step_size": -(-counts // 3)},
    "MultiStepLR": lambda given, counts, lr: {
        "milestones": (half_up(counts / 2), half_up(counts * 3 / 4))
    },
    "ExponentialLR": lambda given, counts, lr: {"gamma": 0.01 ** (1 / counts)},
    "CosineAnnealingLR": lambda given, counts, lr: {"T_max": counts},
    "CosineAnnealingWarmRestarts": lambda given, counts, lr: {
        "T_0": -(-counts // (1 + given["T_mult"] + given["T_mult"] ** 2))
    },
    "OneCycleLR": _one_cycle_from_run,
    "CyclicLR": _cyclic_from_run,
}


def _constant(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    factor = arguments["at"].of(lr) / lr
    if factor == 1:
        return [[(0, ONE)]]
    return [whole("ConstantLR", factor=factor, total_iters=max(1, clock.steps // size))]


def _step(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    exact = clock.steps / 3 if arguments["size"] is None else arguments["size"].on(clock)
    stairs, gamma = Intervals.of(exact), arguments["gamma"]
    last = stairs.at(max(0, clock.steps - 1))[0]
    marks = [stairs.boundary(index) // size for index in range(1, min(last, 50) + 1)]
    even = whole("StepLR", step_size=max(1, round(exact / size)), gamma=gamma)
    return [even, whole("MultiStepLR", milestones=marks, gamma=gamma)]


def _multistep(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    marks = [moment.steps(clock) // size for moment in arguments["milestones"]]
    return [whole("MultiStepLR", milestones=marks, gamma=arguments["gamma"])]


def _exponential(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    gamma = arguments["gamma"]
    if gamma is None:
        return [whole("ExponentialLR", gamma=0.01 ** (size / clock.steps))]
    exact = gamma if size == clock.steps_per_epoch else gamma ** (size / clock.steps_per_epoch)
    return [whole("ExponentialLR", gamma=exact)]


def _natural_exp(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    rate = -math.log(0.01) / clock.epochs if arguments["k"] is None else arguments["k"]
    return [whole("ExponentialLR", gamma=math.exp(-rate * size / clock.steps_per_epoch))]


def _multiplicative(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    return [whole("MultiplicativeLR", lr_lambda=arguments["factor"])]


def _polynomial(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    counts, end = max(1, clock.steps // size), arguments["to"].of(lr) / lr
    if "power" in arguments and end == 0:
        return [whole("PolynomialLR", total_iters=counts, power=arguments["power"])]
    return [whole("LinearLR", start_factor=1.0, end_factor=end, total_iters=counts)]


def _cosine(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    floor = {"eta_min": low} if (low := arguments["min"].of(lr)) else {}
    return [whole("CosineAnnealingLR", T_max=max(1, clock.steps // size), **floor)]


def _sgdr(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    mult, period = arguments["mult"], arguments["period"]
    exact = clock.steps / (1 + mult + mult**2) if period is None else period.on(clock)
    floor = {"eta_min": low} if (low := arguments["min"].of(lr)) else {}
    first, times = max(1, round(exact / size)), max(1, round(mult))
    return [whole("CosineAnnealingWarmRestarts", T_0=first, T_mult=times, **floor)]


def _warmup(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    counts = max(1, clock.steps // size)
    if arguments["from"] is None:
        return [[(0, _rise(counts))]]
    factor = arguments["from"].of(lr) / lr
    name = "ConstantLR" if arguments["shape"] == "constant" else "LinearLR"
    key = "factor" if arguments["shape"] == "constant" else "start_factor"
    return [whole(name, **{key: factor, "total_iters": counts})]


def _rise(counts: int) -> Made:
    """(n+1)/W of the base LR: the peak at the last count."""
    if counts == 1:
        return ONE
    return Made("LinearLR", {"start_factor": 1 / counts, "total_iters": counts - 1})


def _cyclic(mode: str) -> Callable[[Numbers, Clock, float, int], list[Pieces]]:
    def propose(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
        half, extra = arguments["half"], {}
        if mode == "exp_range":
            gamma = arguments["gamma"]
            extra["gamma"] = 0.1 ** (1 / clock.steps) if gamma is None else gamma
        steps = clock.steps / 4 if half is None else half.on(clock)
        made = {"base_lr": arguments["min"].of(lr), "max_lr": lr, "step_size_up": steps / size}
        return [whole("CyclicLR", **made, mode=mode, **extra, cycle_momentum=False)]

    return propose


def _onecycle(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    return [
        whole(
            "OneCycleLR",
            max_lr=lr,
            total_steps=max(1, clock.steps // size),
            pct_start=float(arguments["peak_at"].on(clock) / clock.steps),
            anneal_strategy=arguments["anneal"],
            cycle_momentum=CYCLES if arguments["cycle_momentum"] else False,
            base_momentum=arguments["base_momentum"],
            max_momentum=arguments["max_momentum"],
            div_factor=arguments["div"],
            final_div_factor=arguments["final_div"],
        )
    ]


def _wsd(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    counts = clock.steps // size
    rise = arguments["warmup"].steps(clock) // size
    fall = arguments["decay"].steps(clock) // size
    low = arguments["to"].of(lr)
    if arguments["shape"] == "sqrt" or min(rise, fall, counts - fall - rise) < 1:
        return []
    down = _fall(low / lr, fall)
    if arguments["shape"] == "cosine":
        down = Made("CosineAnnealingLR", {"T_max": fall, "eta_min": low})
    return [[(0, _rise(rise)), (rise, ONE), (counts - fall, down)]]


def _fall(end: float, counts: int) -> Made:
    return Made("LinearLR", {"start_factor": 1.0, "end_factor": end, "total_iters": counts})


def _knee(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    counts, hold = clock.steps // size, arguments["explore"].steps(clock) // size
    return [[(0, ONE), (hold, _fall(0.0, max(1, counts - hold)))]]


def _slanted(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Pieces]:
    counts, top = clock.steps // size, arguments["cut"].steps(clock) // size
    low = 1 / arguments["ratio"]
    if not 0 < top < counts:
        return []
    up = Made("LinearLR", {"start_factor": low, "total_iters": top})
    return [[(0, up), (top, _fall(low, counts - top))]]


PROPOSALS: dict[str, Callable[[Numbers, Clock, float, int], list[Pieces]]] = {
    "constant": _constant,
    "step": _step,
    "multistep": _multistep,
    "exponential": _exponential,
    "natural_exp": _natural_exp,
    "multiplicative": _multiplicative,
    "polynomial": _polynomial,
    "linear": _polynomial,
    "cosine": _cosine,
    "sgdr": _sgdr,
    "warmup": _warmup,
    "triangular": _cyclic("triangular"),
    "triangular2": _cyclic("triangular2"),
    "exp_range": _cyclic("exp_range"),
    "onecycle": _onecycle,
    "wsd": _wsd,
    "knee": _knee,
    "slanted_triangular": _slanted,
}


def as_spec(made: Made, **more: str) -> str:
    """The same class with the same arguments as a spec; `more` as they stand."""
    pairs = [f"{key}={_spec_value(value)}" for key, value in made.arguments.items()]
    pairs += [f"{key}={value}" for key, value in more.items()]
    return f"{made.name}({', '.join(pairs)})"


def _spec_value(value: Any) -> str:
    match value:
        case Words():
            return "True"
        case Made():
            return as_spec(value)
        case list() | tuple():
            return "[" + ", ".join(map(_spec_value, value)) + "]"
        case str():
            return f'"{value}"'
    return str(value)


def as_code(made: Made, counts: int) -> list[str]:
    """The lines of a call of torch's class, its optimizer filled in; `counts` calls of `step()`
    is what an expression means by `epochs`."""
    rows = [] if made.name == "ChainedScheduler" else [["optimizer"]]
    for key, value in made.arguments.items():
        if isinstance(value, list) and any(isinstance(item, Made) for item in value):
            body = [as_code(nested, counts) for nested in value]
            inner = [f"    {line}" for lines in body for line in _with_comma(lines)]
            rows.append([f"{key}=[", *inner, "]"])
        elif key == "T_max" and float(value).is_integer():
            rows.append([f"{key}={int(value)}"])
        else:
            rows.append([f"{key}={_code_value(value, counts)}"])
    short = f"{made.name}({', '.join(row[0] for row in rows)})"
    if all(len(row) == 1 for row in rows) and len(short) <= WIDTH:
        return [short]
    return [f"{made.name}(", *(f"    {line}" for row in rows for line in _with_comma(row)), ")"]


def _with_comma(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1] + ","]


def _code_value(value: Any, counts: int) -> str:
    """A value as Python writes it; a formula as a lambda of the count."""
    if isinstance(value, Words):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    if isinstance(value, Formula):
        names = clock_names(counts, step="epoch", epoch="epoch", epochs=counts)
        return "lambda epoch: " + inlined(value, names)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_code_value(item, counts) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)
