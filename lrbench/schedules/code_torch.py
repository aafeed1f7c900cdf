"""Schedules in torch's own classes: candidates that are proposed here, and checked elsewhere.

A proposal need not be right: `code` takes it only if its LRs and momenta are those of the
schedule at every step of the run. So these functions say what torch's class would be, and not
when it fits.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from lrbench.schedules.base import Call, Schedule, Segment
from lrbench.schedules.expression import FUNCTIONS, Formula
from lrbench.schedules.units import Clock, Intervals

MAX_PIECES = 12  # of a SequentialLR: more are easier to read as a formula

Piece = tuple[int, str, dict[str, Any]]  # from this count of the phase on: class, arguments
Pieces = list[Piece]
Numbers = dict[str, Any]


class Words(str):
    """A piece of code, to be written as it is."""


CYCLES = Words("cycles_momentum")
ONE = ("ConstantLR", {"factor": 1.0, "total_iters": 1})


def proposals(found: Sequence[Segment], lr: float, size: int) -> Iterator[tuple[str, Numbers]]:
    """What the phases may be in torch's classes, when `scheduler.step()` is called every `size`
    steps; the most natural one first."""
    options = []
    for segment in found:
        count, rest = divmod(segment.clock.start, size)
        if rest:
            return
        choices = pieces(segment.call, segment.clock, lr, size)
        options.append([[(count + at, *made) for at, *made in choice] for choice in choices])
    for choice in product(*options):
        parts: Pieces = [piece for phase in choice for piece in phase]  # type: ignore[misc]
        if len(parts) == 1:
            yield parts[0][1:]
        elif len(parts) <= MAX_PIECES:
            nested = [(name, arguments) for _, name, arguments in parts]
            starts = [start for start, _, _ in parts[1:]]
            yield "SequentialLR", {"schedulers": nested, "milestones": starts}


def pieces(call: Call, clock: Clock, lr: float, size: int) -> list[Pieces]:
    """What one phase may be, on the clock of its calls of `scheduler.step()`."""
    if ":" in call.name:
        return []
    definition, arguments = call.definition, call.arguments
    if definition.counts:
        whole = filled(call, clock, lr)
        return [[(0, call.name, whole)]] if whole is not None else []
    propose = PROPOSALS.get(call.name)
    if propose is None:
        return []
    return [[made] if isinstance(made, tuple) else made for made in propose(arguments, clock, lr, size)]


def filled(call: Call, clock: Clock, lr: float) -> Numbers:
    """The arguments of one of torch's classes that must be written, those from the run included."""
    counts = clock.counted(call.update or call.definition.update).steps
    arguments = {**dict(call.args)}
    given = {key: value for key, value in call.arguments.items() if value is not None}
    for key, value in FROM_RUN.get(call.name, lambda *_: {})(given, counts, lr).items():
        if key not in given:
            arguments[key] = value
    if call.arguments.get("cycle_momentum"):
        arguments["cycle_momentum"] = CYCLES
    arguments.pop("metric", None)
    return arguments


def _one_cycle_from_run(given: Numbers, counts: int, lr: float) -> Numbers:
    both = {"max_lr": lr}
    return both if "epochs" in given else {**both, "total_steps": counts}


def _cyclic_from_run(given: Numbers, counts: int, lr: float) -> Numbers:
    return {"base_lr": given.get("max_lr", lr) / 10, "max_lr": lr}


FROM_RUN: dict[str, Callable[[Numbers, int, float], Numbers]] = {
    "StepLR": lambda given, counts, lr: {"step_size": -(-counts // 3)},
    "MultiStepLR": lambda given, counts, lr: {
        "milestones": (math.floor(counts / 2 + 0.5), math.floor(counts * 3 / 4 + 0.5))
    },
    "ExponentialLR": lambda given, counts, lr: {"gamma": 0.01 ** (1 / counts)},
    "CosineAnnealingLR": lambda given, counts, lr: {"T_max": counts},
    "CosineAnnealingWarmRestarts": lambda given, counts, lr: {
        "T_0": -(-counts // (1 + given["T_mult"] + given["T_mult"] ** 2))
    },
    "OneCycleLR": _one_cycle_from_run,
    "CyclicLR": _cyclic_from_run,
}


def _constant(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    factor = arguments["at"].of(lr) / lr
    if factor == 1:
        return [(0, *ONE)]
    return [(0, "ConstantLR", {"factor": factor, "total_iters": max(1, clock.steps // size)})]


def _step(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    exact = clock.steps / 3 if arguments["size"] is None else arguments["size"].on(clock)
    stairs, gamma = Intervals.of(exact), arguments["gamma"]
    last = stairs.at(max(0, clock.steps - 1))[0]
    marks = [stairs.boundary(index) // size for index in range(1, min(last, 50) + 1)]
    even = (0, "StepLR", {"step_size": max(1, round(exact / size)), "gamma": gamma})
    return [even, (0, "MultiStepLR", {"milestones": marks, "gamma": gamma})]


def _multistep(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    marks = [moment.steps(clock) // size for moment in arguments["milestones"]]
    return [(0, "MultiStepLR", {"milestones": marks, "gamma": arguments["gamma"]})]


def _exponential(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    gamma = arguments["gamma"]
    if gamma is None:
        return [(0, "ExponentialLR", {"gamma": 0.01 ** (size / clock.steps)})]
    exact = gamma if size == clock.steps_per_epoch else gamma ** (size / clock.steps_per_epoch)
    return [(0, "ExponentialLR", {"gamma": exact})]


def _natural_exp(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    rate = -math.log(0.01) / clock.epochs if arguments["k"] is None else arguments["k"]
    return [(0, "ExponentialLR", {"gamma": math.exp(-rate * size / clock.steps_per_epoch)})]


def _multiplicative(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    return [(0, "MultiplicativeLR", {"lr_lambda": arguments["factor"]})]


def _polynomial(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    counts = max(1, clock.steps // size)
    if arguments["to"].of(lr) == 0 and arguments.get("power", 1.0) != 1:
        return [(0, "PolynomialLR", {"total_iters": counts, "power": arguments["power"]})]
    end = arguments["to"].of(lr) / lr
    return [
        (0, "LinearLR", {"start_factor": 1.0, "end_factor": end, "total_iters": counts}),
        (0, "PolynomialLR", {"total_iters": counts}),
    ]


def _cosine(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    floor = arguments["min"].of(lr)
    return [(0, "CosineAnnealingLR", {"T_max": max(1, clock.steps // size), "eta_min": floor})]


def _sgdr(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    mult, period = arguments["mult"], arguments["period"]
    exact = clock.steps / (1 + mult + mult**2) if period is None else period.on(clock)
    made = {"T_0": max(1, round(exact / size)), "T_mult": max(1, round(mult))}
    return [(0, "CosineAnnealingWarmRestarts", {**made, "eta_min": arguments["min"].of(lr)})]


def _warmup(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    counts = max(1, clock.steps // size)
    if arguments["from"] is None:
        if counts == 1:
            return [(0, *ONE)]
        made = {"start_factor": size / clock.steps, "total_iters": counts - 1}
        return [(0, "LinearLR", made)]
    factor = arguments["from"].of(lr) / lr
    if arguments["shape"] == "constant":
        return [(0, "ConstantLR", {"factor": factor, "total_iters": counts})]
    return [(0, "LinearLR", {"start_factor": factor, "total_iters": counts})]


def _cyclic(mode: str) -> Callable[[Numbers, Clock, float, int], list[Any]]:
    def propose(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
        half, extra = arguments["half"], {}
        if mode == "exp_range":
            gamma = arguments["gamma"]
            extra["gamma"] = 0.1 ** (1 / clock.steps) if gamma is None else gamma
        steps = clock.steps / 4 if half is None else half.on(clock)
        made = {"base_lr": arguments["min"].of(lr), "max_lr": lr, "step_size_up": steps / size}
        return [(0, "CyclicLR", {**made, "mode": mode, **extra, "cycle_momentum": False})]

    return propose


def _onecycle(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    momenta = {key: arguments[key] for key in ("base_momentum", "max_momentum")}
    return [
        (0, "OneCycleLR", {
            "max_lr": lr,
            "total_steps": max(1, clock.steps // size),
            "pct_start": float(arguments["peak_at"].on(clock) / clock.steps),
            "anneal_strategy": arguments["anneal"],
            "cycle_momentum": CYCLES if arguments["cycle_momentum"] else False,
            **momenta,
            "div_factor": arguments["div"],
            "final_div_factor": arguments["final_div"],
        })
    ]  # fmt: skip


def _wsd(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    counts = max(1, clock.steps // size)
    rise = arguments["warmup"].steps(clock) // size
    fall = arguments["decay"].steps(clock) // size
    low = arguments["to"].of(lr)
    linear = ("LinearLR", {"start_factor": 1.0, "end_factor": low / lr, "total_iters": fall})
    down = {"linear": linear, "cosine": ("CosineAnnealingLR", {"T_max": fall, "eta_min": low})}
    if arguments["shape"] not in down or min(rise, fall, counts - fall - rise) < 1:
        return []
    up = ("LinearLR", {"start_factor": 1 / rise, "total_iters": rise - 1}) if rise > 1 else ONE
    return [[(0, *up), (rise, *ONE), (counts - fall, *down[arguments["shape"]])]]


def _knee(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    counts, hold = clock.steps // size, arguments["explore"].steps(clock) // size
    rest = max(1, counts - hold)
    fall = ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": rest})
    return [[(0, *ONE), (hold, *fall)]]


def _slanted(arguments: Numbers, clock: Clock, lr: float, size: int) -> list[Any]:
    counts, top = clock.steps // size, arguments["cut"].steps(clock) // size
    low = 1 / arguments["ratio"]
    if not 0 < top < counts:
        return []
    up = ("LinearLR", {"start_factor": low, "total_iters": top})
    down = {"start_factor": 1.0, "end_factor": low, "total_iters": counts - top}
    return [[(0, *up), (top, "LinearLR", down)]]


PROPOSALS: dict[str, Callable[[Numbers, Clock, float, int], list[Any]]] = {
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


def as_spec(name: str, arguments: Numbers) -> str:
    """The same class with the same arguments as a spec."""

    def text(value: Any) -> str:
        if isinstance(value, Words):
            return "True"
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
            return as_spec(*value)
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(text, value)) + "]"
        if isinstance(value, str):
            return f'"{value}"'
        return str(value) if not isinstance(value, float) else repr(value)

    return f"{name}({', '.join(f'{key}={text(value)}' for key, value in arguments.items())})"


def as_code(name: str, arguments: Numbers, counts: int) -> list[str]:
    """The lines of a call of torch's class, its optimizer filled in; `counts` calls of `step()`
    is what an expression means by `epochs`."""
    lines = [] if name == "ChainedScheduler" else ["optimizer"]
    rows = [[line] for line in lines]
    for key, value in arguments.items():
        nested = isinstance(value, list | tuple) and any(map(_is_nested, value))
        if nested:
            inner = [_call_lines(item, counts) for item in value]
            body = [f"    {line}" for part in inner for line in _with_comma(part)]
            rows.append([f"{key}=[", *body, "]"])
        else:
            rows.append([f"{key}={value_code(value, counts)}"])
    if all(len(row) == 1 for row in rows):
        return [f"{name}({', '.join(row[0] for row in rows)})"]
    return [f"{name}(", *(f"    {line}" for row in rows for line in _with_comma(row)), ")"]


def _is_nested(value: Any) -> bool:
    return isinstance(value, Schedule) or (
        isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict)
    )


def _call_lines(value: Any, counts: int) -> list[str]:
    if isinstance(value, Call):
        clock = Clock(counts, 1, counts)
        return as_code(value.name, filled(value, clock, 1.0), counts)
    return as_code(value[0], value[1], counts)


def _with_comma(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1] + ","]


def value_code(value: Any, counts: int) -> str:
    """A value as Python writes it; a formula as a lambda of the count."""
    if isinstance(value, Words):
        return str(value)
    if isinstance(value, Formula):
        names = {"step": "epoch", "epoch": "epoch", "steps": f"{counts}", "epochs": f"{counts}"}
        return "lambda epoch: " + inlined(value, {**names, "progress": f"epoch / {counts}"})
    if isinstance(value, list | tuple):
        return "[" + ", ".join(value_code(item, counts) for item in value) + "]"
    return repr(value)


def inlined(formula: Formula, names: dict[str, str]) -> str:
    """An expression as Python code, each name replaced by the code for it.

    >>> inlined(Formula("max(0.1, sqrt(progress))"), {"progress": "step / 100"})
    'max(0.1, math.sqrt(step / 100))'
    """
    tree = ast.parse(formula.text.strip(), mode="eval").body
    return ast.unparse(ast.fix_missing_locations(_Inliner(names).visit(tree)))


class _Inliner(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = {**names, "pi": "math.pi"}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self.names[node.id], mode="eval").body

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = str(getattr(node.func, "id", ""))
        values = [self.visit(argument) for argument in node.args]
        if function in ("min", "max") and len(values) == 1:
            return values[0]  # type: ignore[no-any-return]
        builtin = function in ("min", "max", "abs") or function not in FUNCTIONS
        name = function if builtin else f"math.{function}"
        return ast.Call(ast.parse(name, mode="eval").body, values, [])
