"""Schedules that rise and fall again and again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from lrbench.errors import Notice, Topic
from lrbench.schedules.definitions import (
    Arguments,
    AtLeastOne,
    Curve,
    FactorPerTime,
    NonNegative,
    register,
)
from lrbench.schedules.units import Clock, Intervals, Length, Level, number_text

ZERO, TENTH = Level(0), Level(10, relative=True)
LAST_AMPLITUDE = 0.1  # of the first cycle's, at the end of the phase
Scale = Callable[[int, int], float]


def cut_cycle(call: Any, clock: Clock, arguments: Arguments) -> Iterable[Notice]:
    """A phase that ends while a cycle is under way."""
    cycles = _cycles(clock, arguments)
    index, start, end = cycles.at(clock.steps - 1)
    if end == clock.steps or clock.steps < 2:
        return
    done = number_text(round(100 * (clock.steps - start) / (end - start)))
    fits = number_text(round((start if start else clock.steps) / clock.steps_per_epoch, 3))
    yield Notice(
        Topic.ENDS_INSIDE_CYCLE,
        f"{call} ends inside its cycle {index + 1}, after {done} % of it",
        f"train for {fits}ep, or write {call.name} so that whole cycles fill the run",
    )


def _cycles(clock: Clock, arguments: Arguments) -> Intervals:
    if "period" in arguments:
        return _restarts(clock, arguments["period"], arguments["mult"])
    half: Length | None = arguments["half"]
    return Intervals.of(clock.steps / 2 if half is None else 2 * half.on(clock))


def _restarts(clock: Clock, period: Length | None, mult: float) -> Intervals:
    """Cycles of `period`, each `mult` times the one before; three that fill the phase."""
    first = clock.steps / (1 + mult + mult**2) if period is None else period.on(clock)
    return Intervals.of(first, mult)


@register(
    "sgdr",
    "falls along half a cosine, again and again",
    family="cyclic",
    formula="m + (b d^i - m)(1+cos(pi u))/2, u within cycle i",
    torch="CosineAnnealingWarmRestarts",
    jumps=True,
    notices=[cut_cycle],
)
def sgdr(
    clock: Clock,
    lr: float,
    period: Length | None = None,
    *,
    mult: AtLeastOne = 1.0,
    decay: NonNegative = 1.0,
    min_: Level = ZERO,
) -> Curve:
    """Cosine with warm restarts; three cycles by default.

    Cycle i lasts `period`·`mult`^i and starts at the peak b·`decay`^i. Boundaries are summed
    first and then rounded, in whole numbers where `period` and `mult` are whole, so that every
    restart is at the peak, however far away. Formula: `min + (b d^i - min)(1+cos(pi u))/2`.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983; the decay as in timm.

    >>> from lrbench.schedules import parse
    >>> bound = parse("sgdr(10it, mult=3, decay=0.5)").bind(lr=1.0, steps=400, steps_per_epoch=10)
    >>> [bound.lr(step) for step in (0, 10, 40, 130)]
    [1.0, 0.5, 0.25, 0.125]
    """
    cycles, low = _restarts(clock, period, mult), min_.of(lr)

    def curve(step: int) -> float:
        index, start, end = cycles.at(step)
        angle = math.pi * (step - start) / (end - start)
        return low + (lr * decay**index - low) * (1 + math.cos(angle)) / 2

    return curve


def _waves(
    clock: Clock,
    lr: float,
    half: Length | None,
    low: float,
    shape: Callable[[float], float],
    scale: Scale,
) -> Curve:
    """Between `low` and the base LR: `shape` of the way up, 0 to 1 and back over two halves,
    times `scale` of the index of the half and the step. Two cycles fill the phase by default."""
    halves = Intervals.of(clock.steps / 4 if half is None else half.on(clock))

    def curve(step: int) -> float:
        index, start, end = halves.at(step)
        done = (step - start) / (end - start)
        way = done if index % 2 == 0 else 1 - done
        return low + (lr - low) * shape(way) * scale(index, step)

    return curve


def _same(index: int, step: int) -> float:
    return 1.0


def _halved(index: int, step: int) -> float:
    """Half as much in every cycle; a cycle is two halves."""
    return math.ldexp(1.0, -(index // 2))


def _shrinking(clock: Clock, gamma: float | None) -> Scale:
    """By `gamma` at every step; to a tenth at the end of the phase by default."""
    rate = LAST_AMPLITUDE ** (1 / clock.steps) if gamma is None else gamma
    return lambda index, step: rate**step


def _straight(way: float) -> float:
    return way


def _sine(way: float) -> float:
    return math.sin(math.pi / 2 * way)


def _falling_cosine(way: float) -> float:
    return (1 + math.cos(math.pi * way)) / 2


@register(
    "triangular",
    "rises and falls along straight lines",
    family="cyclic",
    formula="m + (b-m) max(0, 1-|t/s-2c+1|), c=floor(1+t/2s)",
    torch="CyclicLR",
    notices=[cut_cycle],
)
def triangular(
    clock: Clock, lr: float, half: Length | None = None, *, min_: Level = TENTH
) -> Curve:
    """Rise from `min` to the base LR and fall back, in `half` a cycle each; two cycles by default.

    Formula: `min + (b-min) max(0, 1-|t/s-2c+1|)`, c=floor(1+t/2s). Source: Smith 2017,
    arXiv:1506.01186; torch's `CyclicLR`.

    >>> from lrbench.schedules import parse
    >>> parse("triangular(2it, min=0)").table(lr=1.0, steps=6, steps_per_epoch=6)
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """
    return _waves(clock, lr, half, min_.of(lr), _straight, _same)


@register(
    "triangular2",
    "triangular, half as high in each cycle",
    family="cyclic",
    formula="m + (b-m) tri(t) 2^-(c-1)",
    torch='CyclicLR(mode="triangular2")',
    notices=[cut_cycle],
)
def triangular2(
    clock: Clock, lr: float, half: Length | None = None, *, min_: Level = TENTH
) -> Curve:
    """`triangular` with an amplitude that halves after each cycle.

    Formula: `min + (b-min) tri(t) 2^-(c-1)`. Source: Smith 2017, arXiv:1506.01186.

    >>> from lrbench.schedules import parse
    >>> parse("triangular2(1it, min=0)").table(lr=1.0, steps=6, steps_per_epoch=6)
    [0.0, 1.0, 0.0, 0.5, 0.0, 0.25]
    """
    return _waves(clock, lr, half, min_.of(lr), _straight, _halved)


@register(
    "exp_range",
    "triangular, lower by a factor at every step",
    family="cyclic",
    formula="m + (b-m) tri(t) gamma^t",
    torch='CyclicLR(mode="exp_range")',
    notices=[cut_cycle],
)
def exp_range(
    clock: Clock,
    lr: float,
    half: Length | None = None,
    *,
    min_: Level = TENTH,
    gamma: FactorPerTime | None = None,
) -> Curve:
    """`triangular` with an amplitude that falls by `gamma` at every step; to a tenth at the end
    by default.

    Formula: `min + (b-min) tri(t) gamma^t`. Source: Smith 2017, arXiv:1506.01186.

    >>> from lrbench.schedules import parse
    >>> parse("exp_range(1it, min=0, gamma=0.5)").table(lr=1.0, steps=4, steps_per_epoch=4)
    [0.0, 0.5, 0.0, 0.125]
    """
    return _waves(clock, lr, half, min_.of(lr), _straight, _shrinking(clock, gamma))


@register(
    "sin",
    "rises and falls along sine arches",
    family="cyclic",
    formula="m + (b-m)|sin(pi t/2l)|",
    notices=[cut_cycle],
)
def sin(clock: Clock, lr: float, half: Length | None = None, *, min_: Level = TENTH) -> Curve:
    """Arches of a sine from `min` to the base LR, `half` up and `half` down.

    Formula: `min + (b-min)|sin(pi t/2l)|`. Source: SIN of LRBench (Wu et al. 2019,
    arXiv:1908.06477).

    >>> from lrbench.schedules import parse
    >>> parse("sin(1it, min=0)").table(lr=1.0, steps=4, steps_per_epoch=4)
    [0.0, 1.0, 0.0, 1.0]
    """
    return _waves(clock, lr, half, min_.of(lr), _sine, _same)


@register(
    "sin2",
    "sine arches, half as high in each cycle",
    family="cyclic",
    formula="m + (b-m)|sin(pi t/2l)| 2^-floor(t/2l)",
    notices=[cut_cycle],
)
def sin2(clock: Clock, lr: float, half: Length | None = None, *, min_: Level = TENTH) -> Curve:
    """`sin` with an amplitude that halves after each arch.

    Formula: `min + (b-min)|sin(pi t/2l)| 2^-floor(t/2l)`. Source: SIN2 of LRBench.

    >>> from lrbench.schedules import parse
    >>> parse("sin2(1it, min=0)").table(lr=1.0, steps=4, steps_per_epoch=4)
    [0.0, 1.0, 0.0, 0.5]
    """
    return _waves(clock, lr, half, min_.of(lr), _sine, _halved)


@register(
    "sinexp",
    "sine arches, lower by a factor at every step",
    family="cyclic",
    formula="m + (b-m)|sin(pi t/2l)| gamma^t",
    notices=[cut_cycle],
)
def sinexp(
    clock: Clock,
    lr: float,
    half: Length | None = None,
    *,
    min_: Level = TENTH,
    gamma: FactorPerTime | None = None,
) -> Curve:
    """`sin` with an amplitude that falls by `gamma` at every step; to a tenth by default.

    Formula: `min + (b-min)|sin(pi t/2l)| gamma^t`. Source: SINEXP of LRBench.

    >>> from lrbench.schedules import parse
    >>> parse("sinexp(1it, min=0, gamma=0.5)").table(lr=1.0, steps=4, steps_per_epoch=4)
    [0.0, 0.5, 0.0, 0.125]
    """
    return _waves(clock, lr, half, min_.of(lr), _sine, _shrinking(clock, gamma))


@register(
    "cos2",
    "falls and rises along a cosine, half as high after each trough",
    family="cyclic",
    formula="m + (b-m)(1+cos(pi t/l))/2 2^-floor((t+l)/2l)",
    notices=[cut_cycle],
)
def cos2(clock: Clock, lr: float, half: Length | None = None, *, min_: Level = TENTH) -> Curve:
    """A cosine from the base LR to `min` and back, whose amplitude halves at each trough.

    Formula: `min + (b-min)(1+cos(pi t/l))/2 2^-floor((t+l)/2l)`. Source: COS2 of LRBench.

    >>> from lrbench.schedules import parse
    >>> parse("cos2(1it, min=0)").table(lr=1.0, steps=4, steps_per_epoch=4)
    [1.0, 0.0, 0.5, 0.0]
    """
    return _waves(
        clock, lr, half, min_.of(lr), _falling_cosine, lambda index, step: _halved(index + 1, step)
    )


@register(
    "cosexp",
    "falls and rises along a cosine, lower by a factor at every step",
    family="cyclic",
    formula="m + (b-m)(1+cos(pi t/l))/2 gamma^t",
    notices=[cut_cycle],
)
def cosexp(
    clock: Clock,
    lr: float,
    half: Length | None = None,
    *,
    min_: Level = TENTH,
    gamma: FactorPerTime | None = None,
) -> Curve:
    """A cosine from the base LR to `min` and back, times `gamma` at every step; to a tenth by
    default.

    Formula: `min + (b-min)(1+cos(pi t/l))/2 gamma^t`. Source: COSEXP of LRBench.

    >>> from lrbench.schedules import parse
    >>> parse("cosexp(1it, min=0, gamma=0.5)").table(lr=1.0, steps=3, steps_per_epoch=3)
    [1.0, 0.0, 0.25]
    """
    return _waves(clock, lr, half, min_.of(lr), _falling_cosine, _shrinking(clock, gamma))
