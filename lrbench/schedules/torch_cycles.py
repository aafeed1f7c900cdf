"""torch's own schedulers that rise and fall again, and the one that adapts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from lrbench.errors import UsageError
from lrbench.schedules.adaptive import Epochs as Natural
from lrbench.schedules.adaptive import Factor, Metric, Plateau, cannot_fire
from lrbench.schedules.definitions import (
    Arguments,
    Curve,
    NonNegative,
    Positive,
    Share,
    register,
)
from lrbench.schedules.torch_names import Count, Law, of_torch
from lrbench.schedules.torch_notices import cut_cycle, cut_restart, other_total
from lrbench.schedules.units import Clock, Intervals


def named_lr(arguments: Arguments) -> float | None:
    """The LR that `max_lr` names: the spec is trained at that one alone."""
    lr: float | None = arguments["max_lr"]
    return lr


@of_torch(
    "CosineAnnealingWarmRestarts",
    "falls along half a cosine, again and again",
    family="cyclic",
    formula="eta_min + (b-eta_min)(1+cos(pi T_cur/T_i))/2",
    jumps=True,
    notices=[cut_restart],
)
def cosine_annealing_warm_restarts(
    clock: Clock,
    lr: float,
    *,
    T_0: Count | None = None,
    T_mult: Count = 1,
    eta_min: NonNegative = 0.0,
) -> Law:
    """Half a cosine over `T_0` counts, then over `T_mult` times as many, and so on; three cycles
    by default.

    The restarts are found by integer arithmetic. torch's own `step()` is exact as well, but its
    `step(epoch)` takes a logarithm, and misses the restart at 1210 of T_0=10, T_mult=3.
    Formula: `eta_min + (b-eta_min)(1+cos(pi T_cur/T_i))/2`. Source: torch 2.15; Loshchilov &
    Hutter 2017, arXiv:1608.03983.

    >>> from lrbench.schedules import parse
    >>> spec = "CosineAnnealingWarmRestarts(T_0=10, T_mult=3)"
    >>> parse(spec).bind(lr=1.0, steps=2000, steps_per_epoch=1).lr(1210)
    1.0
    """
    first = T_0 or -(-clock.steps // (1 + T_mult + T_mult**2))
    cycles = Intervals.of(first, T_mult)

    def curve(count: int) -> float:
        _, start, end = cycles.at(count)
        return (
            eta_min + (lr - eta_min) * (1 + math.cos(math.pi * (count - start) / (end - start))) / 2
        )

    return Law(curve)


CYCLE_SCALES: dict[str, Callable[[int, int, float], float]] = {
    "triangular": lambda cycle, count, gamma: 1.0,
    "triangular2": lambda cycle, count, gamma: math.ldexp(1.0, -cycle),
    "exp_range": lambda cycle, count, gamma: gamma**count,
}


@of_torch(
    "CyclicLR",
    "rises and falls along straight lines; momentum goes the other way",
    family="cyclic",
    formula="base_lr + (max_lr-base_lr) tri(n) scale(mode)",
    update="step",
    own_scale=True,
    fixed=named_lr,
    notices=[cut_cycle],
)
def cyclic_lr(
    clock: Clock,
    lr: float,
    *,
    base_lr: NonNegative | None = None,
    max_lr: Positive | None = None,
    step_size_up: Positive = 2000,
    step_size_down: Positive | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: NonNegative = 1.0,
    cycle_momentum: bool = True,
    base_momentum: Share = 0.8,
    max_momentum: Share = 0.9,
) -> Law:
    """From `base_lr` up to `max_lr` and back; by default `max_lr` is the base LR, and `base_lr`
    a tenth of it.

    The cycle i, from 0, is 2^-i times as high in the mode `triangular2`; `exp_range` scales by
    gamma^n. Formula: `base_lr + (max_lr-base_lr) tri(n) scale`. Source: torch 2.15; Smith 2017,
    arXiv:1506.01186.

    >>> from lrbench.schedules import parse
    >>> spec = "CyclicLR(base_lr=0, max_lr=1, step_size_up=2)"
    >>> bound = parse(spec).bind(lr=0.5, steps=6, steps_per_epoch=6)
    >>> [bound.lr(step) for step in range(6)], bound.momentum(2)
    ([0.0, 0.5, 1.0, 0.5, 0.0, 0.5], 0.8)
    """
    top = lr if max_lr is None else max_lr
    low = top / 10 if base_lr is None else base_lr
    down = step_size_up if step_size_down is None else step_size_down
    scale = CYCLE_SCALES[mode]

    def height(count: int) -> float:
        cycle, place = divmod(count, step_size_up + down)
        way = (
            place / step_size_up if place <= step_size_up else (step_size_up + down - place) / down
        )
        return way * scale(int(cycle), count, gamma)

    swing = max_momentum - base_momentum
    return Law(
        lambda count: low + (top - low) * height(count),
        (lambda count: max_momentum - swing * height(count)) if cycle_momentum else None,
        initial=low,
        initial_if_first=True,
    )


ANNEAL: dict[str, Callable[[float, float, float], float]] = {
    "cos": lambda start, end, x: end + (start - end) / 2.0 * (math.cos(math.pi * x) + 1),
    "linear": lambda start, end, x: (end - start) * x + start,
}


@of_torch(
    "OneCycleLR",
    "rises once, then falls far below its start; momentum goes the other way",
    family="cyclic",
    formula="max_lr/div_factor up to max_lr, then down to max_lr/div_factor/final_div_factor",
    update="step",
    decays=True,
    fixed=named_lr,
    notices=[other_total],
)
def one_cycle_lr(
    clock: Clock,
    lr: float,
    *,
    max_lr: Positive | None = None,
    total_steps: Count | None = None,
    epochs: Count | None = None,
    steps_per_epoch: Count | None = None,
    pct_start: Share = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    cycle_momentum: bool = True,
    base_momentum: Share = 0.85,
    max_momentum: Share = 0.95,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    three_phase: bool = False,
) -> Law:
    """Up to `max_lr` (the base LR by default) and down within `total_steps`, or `epochs` times
    `steps_per_epoch`, or the run.

    Past its end, where torch raises a ValueError, it holds its last LR; torch allows one call
    too many, and then goes up a little. Source: torch 2.15; Smith & Topin 2018, arXiv:1708.07120.

    >>> from lrbench.schedules import parse
    >>> spec = "OneCycleLR(max_lr=1.0, total_steps=10, anneal_strategy=linear)"
    >>> bound = parse(spec).bind(lr=0.1, steps=20, steps_per_epoch=20)
    >>> [round(bound.lr(step), 6) for step in (0, 1, 2, 9, 15)], bound.momentum(2)
    ([0.04, 0.52, 1.0, 4e-06, 4e-06], 0.85)

    Raises:
        UsageError: `epochs` without `steps_per_epoch`, or the other way round.
    """
    if (epochs is None) != (steps_per_epoch is None) and total_steps is None:
        raise UsageError("OneCycleLR needs total_steps, or both epochs and steps_per_epoch")
    total = total_steps or (epochs or 1) * (steps_per_epoch or clock.steps)
    peak = lr if max_lr is None else max_lr
    first = peak / div_factor
    rise, last = pct_start * total - 1, total - 1
    anneal = ANNEAL[anneal_strategy]

    def through(values: tuple[float, float, float, float]) -> Curve:
        """A curve by its values at the start, at the peak, after a third phase's fall, at last."""
        start, top, back, end = values
        phases = [(rise, start, top), (last, top, end)]
        if three_phase:
            phases = [(rise, start, top), (2 * pct_start * total - 2, top, back), (last, back, end)]

        def curve(count: int) -> float:
            begin = 0.0
            for close, before, behind in phases[:-1]:
                if count <= close:
                    return anneal(before, behind, _share(count, begin, close))
                begin = close
            close, before, behind = phases[-1]
            return anneal(before, behind, _share(min(count, last), begin, close))

        return curve

    momentum = through((max_momentum, base_momentum, max_momentum, max_momentum))
    return Law(
        through((first, peak, first, first / final_div_factor)),
        momentum if cycle_momentum else None,
        initial=first,
    )


def _share(count: float, begin: float, close: float) -> float:
    """How much of a phase is done; all of one that has no length, where torch divides by 0."""
    return (count - begin) / (close - begin) if close != begin else 1.0


def plateau_metric(arguments: Arguments) -> str:
    """What a ReduceLROnPlateau watches: `mode="max"` is meant for an accuracy."""
    default = "val_accuracy" if arguments["mode"] == "max" else "val_loss"
    return str(arguments["metric"] or default)


@register(
    "ReduceLROnPlateau",
    "torch: falls by a factor when a metric stops improving",
    family="adaptive",
    formula="b factor^cuts; a cut after more than `patience` bad epochs",
    torch="ReduceLROnPlateau",
    takes_optimizer=True,
    watches=plateau_metric,
    notices=[cannot_fire],
)
def reduce_lr_on_plateau(
    clock: Clock,
    lr: float,
    *,
    mode: Literal["min", "max"] = "min",
    factor: Factor = 0.1,
    patience: Natural = 10,
    threshold: NonNegative = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: Natural = 0,
    min_lr: NonNegative = 0.0,
    eps: NonNegative = 1e-8,
    metric: Metric | None = None,
) -> Plateau:
    """The schedule `plateau` by torch's name; told the metric once an epoch.

    `metric`, which torch takes as the argument of `step`, is the validation loss, or with
    `mode="max"` the validation accuracy. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> spec = "ReduceLROnPlateau(optimizer, mode='max', patience=0)"
    >>> parse(spec).metric
    'val_accuracy'
    """
    watched = plateau_metric({"mode": mode, "metric": metric})
    return Plateau(
        lr, watched, mode == "max", factor, patience, threshold, threshold_mode == "rel", cooldown,
        min_lr, eps,
    )  # fmt: skip
