"""Schedules as formulas in Python: the body of a function of the step, numbers filled in.

Each entry gets the arguments of a call, the clock of its phase and the base LR, and returns
statements that end in `return …`: the LR over the base LR at `step`, counted from the start of
the phase. A class of torch gets the count of its calls for a step. Only `math` and the helpers
named here may be used.
"""

from __future__ import annotations

import math

from lrbench.schedules.base import Call
from lrbench.schedules.code_bricks import (
    Body,
    Lines,
    Numbers,
    clock_names,
    inlined,
    over,
    piece,
    returns,
    turn,
)
from lrbench.schedules.code_counted import COUNTED, COUNTED_MOMENTA
from lrbench.schedules.code_torch import filled
from lrbench.schedules.units import Clock, Intervals


def body(call: Call, clock: Clock, lr: float) -> Lines | None:
    """The statements for a call; None for one that has no formula here."""
    make = FORMULAS.get(call.name)
    return None if make is None else make(_arguments(call, clock, lr), _clock(call, clock), lr)


def momentum_body(call: Call, clock: Clock, lr: float) -> Lines | None:
    """The statements for the momentum of a call; None for one that leaves it alone."""
    make = MOMENTA.get(call.name)
    if make is None or not call.arguments["cycle_momentum"]:
        return None
    return make(_arguments(call, clock, lr), _clock(call, clock), lr)


def _clock(call: Call, clock: Clock) -> Clock:
    definition = call.definition
    return clock.counted(call.update or definition.update) if definition.counts else clock


def _arguments(call: Call, clock: Clock, lr: float) -> Numbers:
    if not call.definition.counts:
        return call.arguments
    return {**call.arguments, **filled(call, clock, lr)}


def _share(arguments: Numbers, name: str, lr: float) -> float:
    return float(arguments[name].of(lr) / lr)


def _constant(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    return returns(repr(_share(arguments, "at", lr)))


def _step(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    size = clock.steps / 3 if arguments["size"] is None else arguments["size"].on(clock)
    return [piece(Intervals.of(size)), f"return {arguments['gamma']!r} ** index"]


def _multistep(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    marks = [moment.steps(clock) for moment in arguments["milestones"]]
    return returns(f"{arguments['gamma']!r} ** sum(step >= mark for mark in {marks})")


def _exponential(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    if arguments["gamma"] is None:
        return returns(f"0.01 ** (step / {clock.steps})")
    return returns(f"{arguments['gamma']!r} ** (step / {clock.steps_per_epoch})")


def _natural_exp(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    rate = -math.log(0.01) / clock.epochs if arguments["k"] is None else arguments["k"]
    return returns(f"math.exp(-{rate!r} * step / {clock.steps_per_epoch})")


def _multiplicative(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    size, last = clock.steps_per_epoch, -(-clock.steps // clock.steps_per_epoch) - 1
    names = clock_names(clock.steps, step=f"epoch * {size}", epoch="epoch", epochs=clock.epochs)
    return [
        f"epochs = range(1, min(step // {size}, {last}) + 1)",
        f"return math.prod({inlined(arguments['factor'], names)} for epoch in epochs)",
    ]


def _inverse_time(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    power = arguments["power"]
    end = (0.05 ** (-1 / power) - 1) / clock.epochs
    rate = end if arguments["k"] is None else arguments["k"]
    return returns(f"(1 + {rate!r} * step / {clock.steps_per_epoch}) ** -{power!r}")


def _polynomial(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    left = f"(1 - min(1.0, step / {clock.steps})) ** {arguments.get('power', 1.0)!r}"
    return over(_share(arguments, "to", lr), left)


def _cosine(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    done = f"min(1.0, step / {clock.steps})"
    if arguments["power"] != 1:
        done += f" ** {arguments['power']!r}"
    return over(_share(arguments, "min", lr), f"(1 + math.cos(math.pi * {done})) / 2")


def _sgdr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    mult, period, decay = arguments["mult"], arguments["period"], arguments["decay"]
    first = clock.steps / (1 + mult + mult**2) if period is None else period.on(clock)
    low = _share(arguments, "min", lr)
    cosine = "(1 + math.cos(math.pi * (step - start) / (end - start))) / 2"
    cut = piece(Intervals.of(first, mult))
    if decay == 1:
        return [cut, *over(low, cosine)]
    height = f"{decay!r} ** index" if low == 0 else f"({decay!r} ** index - {low!r})"
    scaled = f"{height} * {cosine}"
    return [cut, f"return {scaled}" if low == 0 else f"return {low!r} + {scaled}"]


RISES = {
    "linear": "x",
    "exp": "1 - math.exp(-5 * x)",
    "exp_normalised": "(1 - math.exp(-5 * x)) / (1 - math.exp(-5))",
    "constant": "float(x >= 1)",
}


def _warmup(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    starts = arguments["from"] is not None
    low = _share(arguments, "from", lr) if starts else 0.0
    done = "step" if starts else "(step + 1)"
    rise = RISES[arguments["shape"]]
    return [f"x = min(1.0, {done} / {clock.steps})", *over(low, rise)]


SINE = "math.sin(math.pi / 2 * way)"
COSINE = "(1 + math.cos(math.pi * way)) / 2"
WAVES = {
    "triangular": ("way", ""),
    "triangular2": ("way", "0.5 ** (index // 2)"),
    "exp_range": ("way", "gamma"),
    "sin": (SINE, ""),
    "sin2": (SINE, "0.5 ** (index // 2)"),
    "sinexp": (SINE, "gamma"),
    "cos2": (COSINE, "0.5 ** ((index + 1) // 2)"),
    "cosexp": (COSINE, "gamma"),
}


def _wave(name: str) -> Body:
    shape, scale = WAVES[name]

    def make(arguments: Numbers, clock: Clock, lr: float) -> Lines:
        half = arguments["half"]
        halves = Intervals.of(clock.steps / 4 if half is None else half.on(clock))
        gamma = arguments.get("gamma") or 0.1 ** (1 / clock.steps)
        times = f"{gamma!r} ** step" if scale == "gamma" else scale
        return [
            piece(halves),
            "way = (step - start) / (end - start)",
            "way = way if index % 2 == 0 else 1 - way",
            *over(_share(arguments, "min", lr), f"{shape} * {times}" if times else shape),
        ]

    return make


def _cycled(values: tuple[float, float, float], arguments: Numbers, clock: Clock) -> Lines:
    """`onecycle` from the first over the second to the third value."""
    top, last = float(arguments["peak_at"].on(clock) - 1), clock.steps - 1
    first, peak, end = values
    turns = [(min(top, last - 1), 0.0, top, first, peak), (math.inf, top, last, peak, end)]
    return turn(turns, arguments["anneal"] == "cos")


def _onecycle(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    first = 1 / arguments["div"]
    return _cycled((first, 1.0, first / arguments["final_div"]), arguments, clock)


def _onecycle_momentum(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    high, low = arguments["max_momentum"], arguments["base_momentum"]
    return _cycled((high, low, high), arguments, clock)


COOLDOWNS = {
    "linear": "1 - u",
    "cosine": "(1 + math.cos(math.pi * u)) / 2",
    "sqrt": "1 - math.sqrt(u)",
}


def _wsd(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    rise, steps = arguments["warmup"].steps(clock), clock.steps
    fall = min(arguments["decay"].steps(clock), steps)
    low = _share(arguments, "to", lr)
    cooled = COOLDOWNS[arguments["shape"]]
    return [
        f"u = min(1.0, max(0.0, (step - {steps - fall}) / {fall}))",
        f"cooled = {cooled if low == 0 else f'{low!r} + {1 - low!r} * ({cooled})'}",
        f"return min((step + 1) / {rise}, cooled) if step < {rise} else cooled",
    ]


def _knee(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    rest = max(1, clock.steps - arguments["explore"].steps(clock))
    return returns(f"min(1.0, max(0, {clock.steps} - step) / {rest})")


def _rex(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    return [f"done = min(1.0, step / {clock.steps})", "return (1 - done) / (1 - done / 2)"]


def _tanh(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    at = f"{arguments['lb']!r} * (1 - done) + {arguments['ub']!r} * done"
    done = f"done = min(1.0, step / {clock.steps})"
    return [done, *over(_share(arguments, "min", lr), f"(1 - math.tanh({at})) / 2")]


def _power(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    rise = arguments["warmup"].steps(clock)
    return [f"x = (step + 1) / {rise}", f"return min(x, x ** -{arguments.get('a', 0.5)!r})"]


def _noam(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    rise = arguments["warmup"].steps(clock)
    least = f"min((step + 1) ** -0.5, (step + 1) * {rise} ** -1.5)"
    return returns(f"{arguments['d']!r} ** -0.5 * {least}")


def _slanted(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    top, ratio = arguments["cut"].steps(clock), arguments["ratio"]
    rest = max(1, clock.steps - top)
    return [
        f"x = step / {top} if step < {top} else max(0.0, 1 - (step - {top}) / {rest})",
        f"return (1 + x * {ratio - 1!r}) / {ratio!r}",
    ]


def _expr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    epoch = f"step / {clock.steps_per_epoch}"
    names = clock_names(clock.steps, step="step", epoch=epoch, epochs=clock.epochs)
    return [f"step = min(step, {clock.steps - 1})", *returns(inlined(arguments["formula"], names))]


FORMULAS: dict[str, Body] = {
    "constant": _constant,
    "step": _step,
    "multistep": _multistep,
    "exponential": _exponential,
    "natural_exp": _natural_exp,
    "multiplicative": _multiplicative,
    "inverse_time": _inverse_time,
    "polynomial": _polynomial,
    "linear": _polynomial,
    "cosine": _cosine,
    "sgdr": _sgdr,
    "warmup": _warmup,
    **{name: _wave(name) for name in WAVES},
    "onecycle": _onecycle,
    "wsd": _wsd,
    "knee": _knee,
    "rex": _rex,
    "tanh": _tanh,
    "power": _power,
    "inverse_sqrt": _power,
    "noam": _noam,
    "slanted_triangular": _slanted,
    "expr": _expr,
    **COUNTED,
}
MOMENTA: dict[str, Body] = {
    "onecycle": _onecycle_momentum,
    **COUNTED_MOMENTA,
}
