"""Shapes of several parts against their papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from torch.optim import lr_scheduler as torch_lr

from lrbench.schedules import parse
from tests.schedules.torch_reference import LR, assert_same, trace

T, SPE = 140, 7
W, D = 14, 35


def rise(t: int) -> float:
    return min(1.0, (t + 1) / W)


def wsd(t: int, cooldown: Callable[[float], float]) -> float:
    return rise(t) if t < T - D else cooldown((t - T + D) / D)


def slanted(t: int, cut: int, ratio: float) -> float:
    """Howard & Ruder's pseudo-code, with their cut_frac = cut/T."""
    p = t / cut if t < cut else 1 - (t - cut) / (cut * (T / cut - 1))
    return (1 + p * (ratio - 1)) / ratio


FORMULAS: dict[str, Callable[[int], float]] = {
    "wsd(warmup=10%, decay=25%)": lambda t: wsd(t, lambda u: 1 - u),
    "wsd(warmup=10%, decay=25%, to=10%)": lambda t: wsd(t, lambda u: 0.1 + 0.9 * (1 - u)),
    "wsd(warmup=10%, decay=25%, shape=sqrt)": lambda t: wsd(t, lambda u: 1 - math.sqrt(u)),
    "wsd(warmup=10%, decay=25%, shape=cosine)": lambda t: wsd(
        t, lambda u: (1 + math.cos(math.pi * u)) / 2
    ),
    "knee": lambda t: 1.0 if t < 70 else (T - t) / 70,
    "knee(15ep)": lambda t: 1.0 if t < 105 else (T - t) / 35,
    "rex": lambda t: (1 - t / T) / (1 - t / T / 2),
    "tanh": lambda t: (1 - math.tanh(-7 * (1 - t / T) + 3 * t / T)) / 2,
    "tanh(lb=-6, ub=4, min=1%)": lambda t: (
        0.01 + 0.99 * (1 - math.tanh(-6 * (1 - t / T) + 4 * t / T)) / 2
    ),
    "inverse_sqrt(warmup=10%)": lambda t: min((t + 1) / W, math.sqrt(W / (t + 1))),
    "noam(d=64, warmup=2ep)": lambda t: 64**-0.5 * min((t + 1) ** -0.5, (t + 1) * W**-1.5),
    "power(a=0.7, warmup=2ep)": lambda t: min((t + 1) / W, ((t + 1) / W) ** -0.7),
    "slanted_triangular": lambda t: slanted(t, 14, 32),
    "slanted_triangular(cut=20%, ratio=10)": lambda t: slanted(t, 28, 10),
}


@pytest.mark.parametrize("spec", FORMULAS)
def test_formula(spec: str) -> None:
    ours = parse(spec).table(lr=LR, steps=T, steps_per_epoch=SPE)
    assert_same(ours, [LR * FORMULAS[spec](t) for t in range(T)])


def test_knee_is_torchs_constant_then_linear() -> None:
    theirs, _ = trace(
        lambda o: torch_lr.SequentialLR(
            o, [torch_lr.ConstantLR(o, 1.0, 1), torch_lr.LinearLR(o, 1.0, 0.0, 70)], [70]
        ),
        T,
    )
    assert_same(parse("knee").table(lr=LR, steps=T, steps_per_epoch=SPE), theirs)


def test_wsd_is_its_phases() -> None:
    phases = parse("warmup(10%) + constant(65%) + linear").table(
        lr=LR, steps=T, steps_per_epoch=SPE
    )
    ours = parse("wsd(warmup=10%, decay=25%)").table(lr=LR, steps=T, steps_per_epoch=SPE)
    assert_same(ours, phases)


def test_the_peak_of_noam_is_not_the_base_lr() -> None:
    peak = parse("noam(d=64, warmup=100it)").peak(1000, 100)
    assert peak == pytest.approx(1 / 80)
    assert parse("noam").peak(1000, 100) == pytest.approx(1 / math.sqrt(512 * 50))
    for spec in ("cosine", "warmup + cosine", "onecycle", "inverse_sqrt", "tanh", "plateau"):
        assert parse(spec).peak(1000, 100) == 1.0
