"""Schedules that rise and fall, once or many times.

t is the step of the phase, T its number of steps, b the base LR.
"""

import math
from typing import Any, Literal

from lrbench.schedules.definitions import (
    BASE,
    PHASE,
    ZERO,
    AtLeastOne,
    FactorPerTime,
    Mark,
    NonNegative,
    Numbers,
    Positive,
    Rate,
    Share,
    Span,
    register,
)
from lrbench.schedules.units import piece


def _periods(T: float, numbers: Numbers) -> tuple[float, float]:
    mult = numbers["mult"]
    return numbers["period"] or T / (1 + mult + mult**2), mult


def _restarts(T: int, min_: float, **numbers: Any) -> str:
    first, mult = _periods(T, numbers)
    return f"CosineAnnealingWarmRestarts(T_0={first}, T_mult={mult}, eta_min={min_})"


@register(
    family="cyclic", torch="CosineAnnealingWarmRestarts", jumps=True,
    in_torch=_restarts, cycle=_periods,
)  # fmt: skip
def sgdr(
    t: int,
    T: int,
    b: float,
    period: Span | None = None,
    *,
    mult: AtLeastOne = 1.0,
    decay: NonNegative = 1.0,
    min_: Rate = ZERO,
) -> float:
    """Cosine decay with warm restarts.

    Formula: `min + (b decay^i - min)(1+cos(pi u))/2, u within cycle i`. Cycle i lasts
    `period`·`mult`^i; three cycles by default. Source: Loshchilov & Hutter 2017,
    arXiv:1608.03983; the decay as in timm.
    """
    first = T / (1 + mult + mult**2) if period is None else period
    index, start, end = piece(t, first, mult)
    angle = math.pi * (t - start) / (end - start)
    return min_ + (b * decay**index - min_) * (1 + math.cos(angle)) / 2


def wave(
    t: int,
    T: int,
    b: float,
    half: Span | None = None,
    *,
    min_: Rate = BASE[10],
    gamma: FactorPerTime | None = None,
    shape: Literal["line", "sin", "cos"],
    scale: Literal["same", "halved", "gamma"],
) -> float:
    """Rises from `min` to b and back in two half-cycles, or falls first (cos). By default, four
    half-cycles fill the phase. The height is constant, halved in each cycle, or multiplied by gamma
    at each step, by default down to a tenth.
    """
    index, start, end = piece(t, T / 4 if half is None else half)
    x = (t - start) / (end - start)
    x = x if index % 2 == 0 else 1 - x
    if shape == "sin":
        x = math.sin(math.pi / 2 * x)
    elif shape == "cos":
        x = (1 + math.cos(math.pi * x)) / 2
    height = 1.0
    if scale == "halved":
        height = math.ldexp(1.0, -((index + 1 if shape == "cos" else index) // 2))
    elif scale == "gamma":
        height = (0.1 ** (1 / T) if gamma is None else gamma) ** t
    return min_ + (b - min_) * x * height


def _triangles(
    T: int, b: float, half: float | None, min_: float, gamma: float | None, scale: str
) -> str:
    mode = {"same": "triangular", "halved": "triangular2", "gamma": "exp_range"}[scale]
    end = f", gamma={gamma or 0.1 ** (1 / T)}" if scale == "gamma" else ""
    lrs = f"base_lr={min_}, max_lr={b}, step_size_up={max(1.0, half or T / 4)}"
    return f"CyclicLR({lrs}, mode={mode}{end}, cycle_momentum=False)"


SMITH = "Smith 2017, arXiv:1506.01186"
WU = "LRBench (Wu et al. 2019, arXiv:1908.06477)"
WAVES = {  # name -> shape, scale, summary, what (b-min) is multiplied by, source
    "triangular": ("line", "same", "Rises and falls linearly.",
                   " max(0, 1-|t/s-2c+1|), c=floor(1+t/2s)", SMITH),
    "triangular2": ("line", "halved", "Triangular, halved in each cycle.",
                    " tri(t) 2^-(c-1)", SMITH),
    "exp_range": ("line", "gamma", "Triangular, shrinking by a factor at every step.",
                  " tri(t) gamma^t", SMITH),
    "sin": ("sin", "same", "Rises and falls along sine arches.", "|sin(pi t/2l)|", WU),
    "sin2": ("sin", "halved", "Sine arches, halved in each cycle.",
             "|sin(pi t/2l)| 2^-floor(t/2l)", WU),
    "sinexp": ("sin", "gamma", "Sine arches, shrinking by a factor at every step.",
               "|sin(pi t/2l)| gamma^t", WU),
    "cos2": ("cos", "halved", "Falls and rises along a cosine, halved after each trough.",
             "(1+cos(pi t/l))/2 2^-floor((t+l)/2l)", WU),
    "cosexp": ("cos", "gamma", "Falls and rises along a cosine, shrinking at every step.",
               "(1+cos(pi t/l))/2 gamma^t", WU),
}  # fmt: skip
for _name, (_shape, _scale, _summary, _formula, _source) in WAVES.items():
    _mode = "" if _name == "triangular" else f'(mode="{_name}")'
    _decay = {} if _scale == "gamma" else {"gamma": None}
    register(
        family="cyclic",
        name=_name,
        doc=f"{_summary}\n\nFormula: `min + (b-min){_formula}`. Source: {_source}.",
        given={"shape": _shape, "scale": _scale, **_decay},
        torch=f"CyclicLR{_mode}" if _shape == "line" else "",
        in_torch=_triangles if _shape == "line" else None,
        cycle=lambda T, numbers: (2 * (numbers["half"] or T / 4), 1.0),
    )(wave)


def between(
    t: int, T: int, peak_at: float, anneal: str, values: tuple[float, float, float]
) -> float:
    """Moves from the first value to the second, reached one step before `peak_at`, then to the
    third at the end."""
    top, last = peak_at - 1, T - 1
    if t <= top and t < last:
        start, end, x = values[0], values[1], t / top if top else 1.0
    else:
        start, end = values[1], values[2]
        x = min(1.0, (t - top) / (last - top)) if last > top else 1.0
    if anneal == "cos":
        return end + (start - end) * (1 + math.cos(math.pi * x)) / 2
    return start + (end - start) * x


def onecycle_momentum(
    t: int,
    T: int,
    *,
    peak_at: Span = PHASE[30],
    anneal: Literal["cos", "linear"] = "cos",
    cycle_momentum: bool = True,
    base_momentum: Share = 0.85,
    max_momentum: Share = 0.95,
) -> float | None:
    """Moves from `max_momentum` down to `base_momentum` and back."""
    if not cycle_momentum:
        return None
    return between(t, T, peak_at, anneal, (max_momentum, base_momentum, max_momentum))


def _onecycle(T: int, b: float, peak_at: float, div: float, final_div: float, **more: Any) -> str:
    words = {"anneal_strategy": more.pop("anneal"), **more}
    return (
        f"OneCycleLR(max_lr={b}, total_steps={T}, pct_start={peak_at / T}, div_factor={div}, "
        f"final_div_factor={final_div}, {', '.join(f'{k}={v}' for k, v in words.items())})"
    )


@register(
    family="cyclic", torch="OneCycleLR", decays=True,
    momentum=onecycle_momentum, in_torch=_onecycle,
)  # fmt: skip
def onecycle(
    t: int,
    T: int,
    b: float,
    *,
    peak_at: Span = PHASE[30],
    div: Positive = 25.0,
    final_div: Positive = 1e4,
    anneal: Literal["cos", "linear"] = "cos",
) -> float:
    """Rises once, then decays far below its start; momentum does the opposite.

    Formula: `b/div up to b until peak_at, then down to b/div/final_div`. As in torch's
    `OneCycleLR`, the peak is one step before `peak_at`, not rounded, and the end is the last step.
    Source: Smith & Topin 2018, arXiv:1708.07120.
    """
    return between(t, T, peak_at, anneal, (b / div, b, b / div / final_div))


@register(
    family="cyclic", decays=True,
    in_torch=lambda T, cut, ratio: (
        f"SequentialLR([LinearLR(start_factor={1 / ratio}, total_iters={cut}), LinearLR("
        f"start_factor=1, end_factor={1 / ratio}, total_iters={T - cut})], milestones=[{cut}])"
    ),
)  # fmt: skip
def slanted_triangular(
    t: int, T: int, b: float, *, cut: Mark = PHASE[10], ratio: AtLeastOne = 32.0
) -> float:
    """Rises fast, then falls slowly, both linearly.

    Formula: `b (1 + x(r-1))/r, x=t/C up to C, then (T-t)/(T-C)`, C the moment `cut`, r = `ratio`.
    Source: Howard & Ruder 2018, arXiv:1801.06146.
    """
    x = t / cut if t < cut else max(0.0, 1 - (t - cut) / max(1, T - cut))
    return b * (1 + x * (ratio - 1)) / ratio
