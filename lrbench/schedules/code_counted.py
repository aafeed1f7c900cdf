"""torch's own schedulers as formulas of the count, for where they are a phase among others."""

from __future__ import annotations

import math

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
from lrbench.schedules.units import Clock, Intervals


def _lambda_lr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    names = clock_names(clock.steps, step="step", epoch="step", epochs=clock.steps)
    value = inlined(arguments["lr_lambda"], names)
    return [f"step = min(step, {clock.steps - 1})", *returns(value)]


def _multiplicative_lr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    names = clock_names(clock.steps, step="count", epoch="count", epochs=clock.steps)
    value = inlined(arguments["lr_lambda"], names)
    counts = f"range(1, min(step, {clock.steps - 1}) + 1)"
    return returns(f"math.prod({value} for count in {counts})")


def _linear_lr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    start, end = arguments["start_factor"], arguments["end_factor"]
    done = f"x = min(1.0, step / {arguments['total_iters']})"
    return [done, f"return {start!r} * (1 - x) + {end!r} * x"]


def _multi_step_lr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    marks = list(arguments["milestones"])
    return returns(f"{arguments['gamma']!r} ** sum(step >= mark for mark in {marks})")


def _cosine_annealing_lr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    cosine = f"(1 + math.cos(math.pi * step / {arguments['T_max']!r})) / 2"
    return over(arguments["eta_min"] / lr, cosine)


def _warm_restarts(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    cycles = Intervals.of(arguments["T_0"], arguments["T_mult"])
    cosine = "(1 + math.cos(math.pi * (step - start) / (end - start))) / 2"
    return [piece(cycles), *over(arguments["eta_min"] / lr, cosine)]


CYCLE_SCALES = {"triangular": "", "triangular2": " * 0.5 ** cycle", "exp_range": " * {!r} ** step"}


def _height(arguments: Numbers) -> Lines:
    up, down = arguments["step_size_up"], arguments["step_size_down"]
    whole = up + (up if down is None else down)
    scale = CYCLE_SCALES[arguments["mode"]].format(arguments["gamma"])
    return [
        f"cycle, place = divmod(step, {whole!r})",
        f"x = place / {up!r} if place <= {up!r} else ({whole!r} - place) / {whole - up!r}",
        f"x = x{scale}",
    ]


def _cyclic_lr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    low, high = arguments["base_lr"] / lr, arguments["max_lr"] / lr
    return [*_height(arguments), f"return {low!r} + {high - low!r} * x"]


def _cyclic_momentum(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    high, low = arguments["max_momentum"], arguments["base_momentum"]
    return [*_height(arguments), f"return {high!r} - {high - low!r} * x"]


def _one_cycle_turns(values: tuple[float, float, float, float], arguments: Numbers) -> Lines:
    """Values at the start, at the peak, where a third phase begins, and at the end."""
    steps = arguments.get("total_steps")
    total = steps or arguments["epochs"] * arguments["steps_per_epoch"]
    share, last = arguments["pct_start"], total - 1
    start, top, back, end = values
    rise = share * total - 1
    turns = [(rise, 0.0, rise, start, top), (math.inf, rise, last, top, end)]
    if arguments["three_phase"]:
        fallen = 2 * share * total - 2
        turns = [turns[0], (fallen, rise, fallen, top, back), (math.inf, fallen, last, back, end)]
    return turn(turns, arguments["anneal_strategy"] == "cos")


def _one_cycle_lr(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    peak = arguments["max_lr"] / lr
    first = peak / arguments["div_factor"]
    end = first / arguments["final_div_factor"]
    return _one_cycle_turns((first, peak, first, end), arguments)


def _one_cycle_lr_momentum(arguments: Numbers, clock: Clock, lr: float) -> Lines:
    high, low = arguments["max_momentum"], arguments["base_momentum"]
    return _one_cycle_turns((high, low, high, high), arguments)


COUNTED: dict[str, Body] = {
    "LambdaLR": _lambda_lr,
    "MultiplicativeLR": _multiplicative_lr,
    "ConstantLR": lambda a, clock, lr: returns(
        f"{a['factor']!r} if step < {a['total_iters']} else 1.0"
    ),
    "LinearLR": _linear_lr,
    "StepLR": lambda a, clock, lr: returns(f"{a['gamma']!r} ** (step // {a['step_size']})"),
    "MultiStepLR": _multi_step_lr,
    "ExponentialLR": lambda a, clock, lr: returns(f"{a['gamma']!r} ** step"),
    "PolynomialLR": lambda a, clock, lr: returns(
        f"(1 - min(1.0, step / {a['total_iters']})) ** {a['power']!r}"
    ),
    "CosineAnnealingLR": _cosine_annealing_lr,
    "CosineAnnealingWarmRestarts": _warm_restarts,
    "CyclicLR": _cyclic_lr,
    "OneCycleLR": _one_cycle_lr,
}
COUNTED_MOMENTA: dict[str, Body] = {
    "OneCycleLR": _one_cycle_lr_momentum,
    "CyclicLR": _cyclic_momentum,
}
