"""Schedules that warm up, hold and decay in one formula, and other decays.

t is the step of the phase, T its number of steps, b the base LR.
"""

import math
from typing import Literal

from lrbench.schedules.curves import ONE
from lrbench.schedules.definitions import (
    BASE,
    PHASE,
    ZERO,
    Fraction,
    NonNegative,
    Positive,
    Rate,
    Steps,
    register,
)


def _wsd(T: int, b: float, warmup: int, decay: int, to: float) -> str:
    rise = f"LinearLR(start_factor={1 / warmup}, total_iters={max(1, warmup - 1)})"
    fall = f"LinearLR(start_factor=1, end_factor={to / b}, total_iters={decay})"
    return f"SequentialLR([{rise}, {ONE}, {fall}], milestones=[{warmup}, {T - decay}])"


@register(
    family="ordered", torch="SequentialLR of LinearLR, ConstantLR, LinearLR", decays=True,
    in_torch=_wsd,
)  # fmt: skip
def wsd(
    t: int,
    T: int,
    b: float,
    *,
    warmup: Steps = PHASE[5],
    decay: Steps = PHASE[20],
    shape: Literal["linear", "cosine", "sqrt", "power", "exp"] = "linear",
    to: Rate = ZERO,
    power: Positive = 2.0,
    ratio: Fraction = 0.1,
    stable_power: NonNegative = 0.0,
) -> float:
    """Warms up, holds, and decays at the end.

    Formula: `b min(1, (t+1)/W) until T-D, then to + (b-to) s(u), u=(t-T+D)/D`. s by `shape`: 1-u,
    (1+cos(pi u))/2, 1-sqrt(u), 1-u^power, (r^u-r)/(1-r) with r = `ratio`. With `stable_power` p, b
    itself decays as (t/W)^-p after the warm-up; 0.5 is the inverse square root. Source: Hu et
    al. 2024, arXiv:2404.06395; Hägele et al. 2024, arXiv:2405.18392; the last three as in timm.
    """
    decay = min(decay, T)
    u = min(1.0, max(0.0, (t - T + decay) / decay))
    if shape == "cosine":
        left = (1 + math.cos(math.pi * u)) / 2
    elif shape == "exp":
        left = (ratio**u - ratio) / (1 - ratio)
    elif shape == "power":
        left = 1 - u**power
    else:
        left = 1 - u if shape == "linear" else 1 - math.sqrt(u)
    high = b if stable_power == 0 else max(to, b * max(1.0, t / warmup) ** -stable_power)
    falling = to + (high - to) * left
    return min(b * min(1.0, (t + 1) / warmup), falling) if t < warmup else falling


@register(
    family="ordered", torch="SequentialLR of ConstantLR, LinearLR", decays=True,
    in_torch=lambda T, explore: (
        f"SequentialLR([{ONE}, LinearLR(start_factor=1, end_factor=0, "
        f"total_iters={T - explore})], milestones=[{explore}])"
    ),
)  # fmt: skip
def knee(t: int, T: int, b: float, explore: Steps = PHASE[50]) -> float:
    """Holds, then decays linearly.

    Formula: `b for E steps, then b (T-t)/(T-E)`, E the steps to `explore`. Source: Iyer et al.
    2023, JMLR 24(65).
    """
    return b * min(1.0, max(0, T - t) / max(1, T - explore))


@register(family="ordered", decays=True)
def rex(t: int, T: int, b: float, *, min_: Rate = ZERO) -> float:
    """Decays slowly at first, fast at the end.

    Formula: `min + (b-min)(1-p)/(1-p/2), p=t/T`. Source: Chen et al. 2022, arXiv:2107.04197.
    """
    done = min(1.0, t / T)
    return min_ + (b - min_) * (1 - done) / (1 - done / 2)


@register(family="ordered", decays=True)
def powercool(t: int, T: int, b: float, *, c: Rate = BASE[500], power: Positive = 1.2) -> float:
    """Holds, then decays as a power of the remaining time.

    Formula: `min(b, c (1-t/T)^power)`. A higher b decays for longer; with an absolute `c` all base
    LRs share the decay. Source: the stable phase and power decay that are optimal for hard tasks
    under a functional scaling law, Li et al. 2026, arXiv:2602.06797.
    """
    return float(min(b, c * max(0.0, 1 - t / T) ** power))


@register(family="ordered", decays=True)
def tanh(
    t: int, T: int, b: float, *, lb: float = -7.0, ub: float = 3.0, min_: Rate = ZERO
) -> float:
    """Holds, then decays and flattens out along a hyperbolic tangent.

    Formula: `min + (b-min)(1-tanh(lb(1-p) + ub p))/2, p=t/T`. Source: Hsueh et al. 2018,
    arXiv:1806.01593; defaults as in timm.
    """
    done = min(1.0, t / T)
    return min_ + (b - min_) * (1 - math.tanh(lb * (1 - done) + ub * done)) / 2


@register(family="ordered")
def power(t: int, b: float, *, a: Positive = 1.0, warmup: Steps = PHASE[5]) -> float:
    """Warms up, then decays as a power of time.

    Formula: `b min(n/W, (n/W)^-a), n=t+1`. Source: the family of INV (Caffe) and the inverse
    square root (a=0.5).
    """
    return float(b * min((t + 1) / warmup, ((t + 1) / warmup) ** -a))


INVERSE_SQRT = """Warms up, then decays as one over the square root of time.

Formula: `b min(n/W, sqrt(W/n)), n=t+1`. Source: Vaswani et al. 2017, arXiv:1706.03762, scaled so
that the peak is b, as in fairseq.
"""
register(family="ordered", name="inverse_sqrt", doc=INVERSE_SQRT, given={"a": 0.5})(power)


@register(family="ordered", own_scale=True)
def noam(t: int, b: float, *, d: Positive = 512.0, warmup: Steps = PHASE[5]) -> float:
    """The schedule of the original Transformer, scaled by the model width.

    Formula: `b d^-0.5 min(n^-0.5, n W^-1.5), n=t+1`. Its peak is not the base LR. Source: Vaswani
    et al. 2017, arXiv:1706.03762, section 5.3; Paddle's `NoamDecay`.
    """
    n = t + 1
    return b / math.sqrt(d) * min(1 / math.sqrt(n), n / math.pow(warmup, 1.5))
