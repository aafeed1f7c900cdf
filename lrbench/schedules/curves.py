"""Schedules that hold, warm up to, or decay from the base LR, and the user's own expression.

t is the step of the phase, T its number of steps, b the base LR, E the steps per epoch.
"""

import math
from functools import lru_cache
from typing import Annotated, Any, Literal

from lrbench.schedules.definitions import (
    BASE,
    PHASE,
    ZERO,
    Expression,
    FactorPerTime,
    Mark,
    NonNegative,
    Positive,
    Rate,
    RatePerEpoch,
    Span,
    Timed,
    register,
)
from lrbench.schedules.expression import Formula
from lrbench.schedules.units import piece

ONE = "ConstantLR(factor=1, total_iters=1)"  # torch's class for a phase at the base LR
UNIT: Any = Formula("1")
TO_ONE_PERCENT: Any = Formula("0.01**(1/epochs)")


@register(
    family="ordered", torch="no scheduler", own_scale=True,
    in_torch=lambda T, b, at: (
        ONE if at == b else f"ConstantLR(factor={at / b}, total_iters={T})"
    ),
)  # fmt: skip
def constant(t: int, b: float, length: Span | None = None, *, at: Rate = BASE[100]) -> float:
    """Keeps the learning rate constant.

    Formula: `b`, or the LR `at`. Source: FIX of LRBench (Wu et al. 2019).
    """
    return at


def _rising(T: int, b: float, from_: float | None, shape: str) -> str:
    if from_ is None:
        return f"LinearLR(start_factor={1 / T}, total_iters={T - 1})" if T > 1 else ONE
    if shape == "constant":
        return f"ConstantLR(factor={from_ / b}, total_iters={T})"
    return f"LinearLR(start_factor={from_ / b}, total_iters={T})"


@register(family="warmup", torch="LinearLR (with from)", in_torch=_rising)
def warmup(
    t: int,
    T: int,
    b: float,
    length: Span | None = PHASE[5],
    *,
    from_: Rate | None = None,
    shape: Literal["linear", "cosine", "exp", "exp_normalised", "constant"] = "linear",
) -> float:
    """Rises to the base LR.

    Formula: `f + (b-f) s(x), x=(t+1)/T; x=t/T with from=f`. s by `shape`: `linear` x,
    `cosine` (1-cos(pi x))/2, `exp` 1-e^(-5x), `exp_normalised` (1-e^(-5x))/(1-e^-5), `constant` 0
    before x=1. Without `from`, f=0 and no step is wasted at LR 0; with it the first step is at
    exactly f, as in torch's `LinearLR`. Source: Goyal et al. 2017, arXiv:1706.02677.

    Raises:
        ValueError: `shape=constant` without `from`.
    """
    if shape == "constant" and from_ is None:
        raise ValueError("warmup(shape=constant) needs from, the LR it stays at: from=10%")
    low = 0.0 if from_ is None else from_
    x = (t + 1 if from_ is None else t) / T
    if shape == "exp":  # in a product, x may exceed 1
        x = -math.expm1(-5.0 * x)
    elif shape == "exp_normalised":
        x = math.expm1(-5.0 * min(1.0, x)) / math.expm1(-5.0)
    elif shape == "cosine":
        x = (1 - math.cos(math.pi * min(1.0, x))) / 2
    else:
        x = float(x >= 1) if shape == "constant" else min(1.0, x)
    return low + (b - low) * x


def _stairs(T: int, size: float | None, gamma: float) -> str:
    stair = T / 3 if size is None else size
    if float(stair).is_integer():
        return f"StepLR(step_size={stair}, gamma={gamma})"
    marks = sorted({piece(t, stair)[1] for t in range(T)} - {0})
    return f"MultiStepLR({marks}, gamma={gamma})"


@register(family="ordered", torch="StepLR", jumps=True, decays=True, in_torch=_stairs)
def step(t: int, T: int, b: float, size: Span | None = None, *, gamma: NonNegative = 0.1) -> float:
    """Drops by a factor at regular intervals.

    Formula: `b gamma^floor(t/size)`, each boundary k·size rounded half up; three equal stairs by
    default. Source: torch's `StepLR`.
    """
    index, _, _ = piece(t, T / 3 if size is None else size)
    return b * gamma**index


@register(
    family="ordered", torch="MultiStepLR", jumps=True, decays=True,
    in_torch=lambda milestones, gamma: f"MultiStepLR({list(milestones)}, gamma={gamma})",
)  # fmt: skip
def multistep(
    t: int,
    b: float,
    milestones: tuple[Mark, ...] = (PHASE[50], PHASE[75]),
    *,
    gamma: NonNegative | tuple[NonNegative, ...] = 0.1,
) -> float:
    """Drops by a factor at each milestone; a list gives each milestone its own factor.

    Formula: `b gamma^#{m <= t}`. Source: torch's `MultiStepLR`; He et al. 2015, arXiv:1512.03385;
    the list as in optax's `piecewise_constant_schedule`.

    Raises:
        ValueError: there is no milestone, or the number of factors differs.
    """
    if not milestones:
        raise ValueError("milestones must name at least one")
    passed = sum(mark <= t for mark in milestones)
    if isinstance(gamma, float):
        return b * gamma**passed
    if len(gamma) != len(milestones):
        raise ValueError("gamma needs one factor for each of the milestones")
    return b * math.prod(gamma[:passed])


def _exponential(T: int, E: float, gamma: float | None) -> str:
    return f"ExponentialLR(gamma={0.01 ** (1 / T) if gamma is None else gamma ** (1 / E)})"


@register(
    family="ordered", torch="ExponentialLR (update=epoch)", decays=True, in_torch=_exponential
)
def exponential(t: int, T: int, b: float, E: int, *, gamma: FactorPerTime | None = None) -> float:
    """Decays by the same factor every epoch.

    Formula: `b gamma^(t/E)`; to 1 % at the end by default. Source: torch's `ExponentialLR`, which
    it equals with `update=epoch`.
    """
    if gamma is None:
        return float(b * 0.01 ** (t / T))
    return float(b * gamma ** (t / E))


@register(
    family="ordered", decays=True,
    in_torch=lambda T, E, k: _exponential(T, E, None if k is None else math.exp(-k)),
)  # fmt: skip
def natural_exp(t: int, T: int, b: float, E: int, *, k: RatePerEpoch | None = None) -> float:
    """Decays as e^(-k epochs).

    Formula: `b e^(-k t/E)`; to 1 % at the end by default. Source: Paddle's `NaturalExpDecay`.
    """
    return exponential(t, T, b, E, gamma=None if k is None else math.exp(-k))


@lru_cache(maxsize=64)
def product(factor: Expression, epochs: int, T: int, E: int) -> float:
    """f(1) f(2) … f(epochs), each at the first step of its epoch."""
    steps = (epoch * E for epoch in range(1, epochs + 1))
    return math.prod(factor(t, T, t / E, T / E, t / T) for t in steps)


@register(
    family="ordered", torch="MultiplicativeLR", jumps=True, decays=True,
    in_torch=lambda factor: f"MultiplicativeLR(lr_lambda={factor})",
)  # fmt: skip
def multiplicative(
    t: int,
    T: int,
    b: float,
    E: int,
    factor: Annotated[Expression, Timed.FACTOR] = TO_ONE_PERCENT,
) -> float:
    """Multiplies the LR by an expression after every epoch.

    Formula: `b f(1) f(2) … f(floor(t/E))`; past the end of its phase it is held. Source: torch's
    `MultiplicativeLR`.
    """
    return b * product(factor, min(t, T - 1) // E, T, E)


@register(family="ordered", decays=True)
def inverse_time(
    t: int, T: int, b: float, E: int, *, k: RatePerEpoch | None = None, power: Positive = 1.0
) -> float:
    """Decays inversely with time.

    Formula: `b (1 + k t/E)^-power`; to 5 % at the end by default. Source: Paddle's
    `InverseTimeDecay`; INV of Caffe and LRBench.
    """
    rate = (0.05 ** (-1 / power) - 1) / (T / E) if k is None else k
    return float(b * (1 + rate * t / E) ** -power)


def _polynomial(T: int, b: float, to: float, power: float) -> str:
    if power != 1 and to == 0:
        return f"PolynomialLR(total_iters={T}, power={power})"
    return f"LinearLR(start_factor=1, end_factor={to / b}, total_iters={T})"


@register(family="ordered", torch="PolynomialLR", decays=True, in_torch=_polynomial)
def polynomial(
    t: int, T: int, b: float, *, power: Positive = 1.0, to: Rate = ZERO, k: Positive = 1.0
) -> float:
    """Decays as a power of the remaining time.

    Formula: `to + (b-to)(1-(t/T)^k)^power`. Source: torch's `PolynomialLR`; Chen et al. 2017,
    arXiv:1606.00915; `k` is the k-decay of Zhang & Li 2020, arXiv:2004.05909, as in timm.
    """
    done = min(1.0, t / T) if k == 1 else min(1.0, t / T) ** k
    return float(to + (b - to) * (1 - done) ** power)


LINEAR = """Decays linearly to the end.

Formula: `to + (b-to)(1-t/T)`. Source: torch's `LinearLR`; Defazio et al. 2023, arXiv:2310.07831.
"""
register(
    family="ordered", name="linear", doc=LINEAR, given={"power": 1.0, "k": 1.0}, decays=True,
    torch="LinearLR(start_factor=1)", in_torch=_polynomial,
)(polynomial)  # fmt: skip


@register(
    family="ordered", torch="CosineAnnealingLR", decays=True,
    in_torch=lambda T, min_: f"CosineAnnealingLR(T_max={T}, eta_min={min_})",
)  # fmt: skip
def cosine(t: int, T: int, b: float, *, min_: Rate = ZERO, power: Positive = 1.0) -> float:
    """Decays to the end along half a cosine.

    Formula: `min + (b-min)(1+cos(pi (t/T)^power))/2`. It does not rise again. Source: Loshchilov &
    Hutter 2017, arXiv:1608.03983; `power` is the k-decay of Zhang & Li 2020, arXiv:2004.05909.
    """
    done = min(t, T)
    angle = math.pi * done / T if power == 1 else math.pi * (done / T) ** power
    return min_ + (b - min_) * (1 + math.cos(angle)) / 2


@register(family="custom", torch="LambdaLR", jumps=True, own_scale=True)
def expr(t: int, T: int, b: float, E: int, formula: Expression = UNIT) -> float:
    """An expression of step, steps, epoch, epochs and progress, times the base LR.

    Formula: `b f(step, steps, epoch, epochs, progress)`. `step` counts from the start of the
    phase, `steps` is its length, `epoch` = step / steps per epoch (whole with `update=epoch`),
    `progress` = step / steps; past the end it is held. Source: torch's `LambdaLR`.
    """
    t = min(t, T - 1)
    return b * formula(t, T, t / E, T / E, t / T)
