"""Cycles: torch's own values at every step, restarts at the peak however far away, formulas."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
from torch.optim import lr_scheduler as torch_lr

from lrbench.schedules import parse
from tests.schedules.torch_reference import LR, assert_same, per_epoch, trace

EPOCHS = 20
WARM = torch_lr.CosineAnnealingWarmRestarts


def table(spec: str, steps_per_epoch: int, epochs: int = EPOCHS) -> list[float]:
    return parse(spec).table(lr=LR, steps=epochs * steps_per_epoch, steps_per_epoch=steps_per_epoch)


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
@pytest.mark.parametrize(
    ("period", "mult", "low"), [(5, 1, 0.0), (3, 2, 0.01), (2, 3, 0.0), (1, 2, 0.02), (20, 1, 0.0)]
)
def test_sgdr_equals_torch(period: int, mult: int, low: float, steps_per_epoch: int) -> None:
    options = f"mult={mult}, min={low}"
    theirs, _ = trace(lambda o: WARM(o, period, mult, low), EPOCHS)
    ours = table(f"sgdr({period}ep, {options}, update=epoch)", steps_per_epoch)
    assert_same(ours, per_epoch(theirs, steps_per_epoch))
    steps = EPOCHS * steps_per_epoch
    theirs, _ = trace(lambda o: WARM(o, period, mult, low), steps)
    assert_same(table(f"sgdr({period}it, {options})", steps_per_epoch), theirs)


@pytest.mark.parametrize("mult", [1, 2, 3, 5])
@pytest.mark.parametrize("period", [1, 7, 10])
def test_every_restart_is_at_the_peak(period: int, mult: int) -> None:
    """Torch's closed form returns 0 at step 1210 of period 10, mult 3."""
    run = parse(f"sgdr({period}it, mult={mult})").bind(lr=0.1, steps=1210, steps_per_epoch=10)
    restarts = accumulate((period * mult**cycle for cycle in range(12)), initial=0)
    for restart in restarts:
        assert run.lr(restart) == 0.1
        if restart > 1 and period * mult > 1:
            assert run.lr(restart - 1) < 0.1


def test_restarts_of_a_fractional_factor() -> None:
    run = parse("sgdr(10it, mult=1.5, decay=0.5)").bind(lr=1.0, steps=200, steps_per_epoch=10)
    sums = accumulate((10 * 1.5**cycle for cycle in range(8)), initial=0)
    for cycle, exact in enumerate(sums):
        restart = math.floor(exact + 0.5)
        assert run.lr(restart) == 0.5**cycle
        assert cycle == 0 or run.lr(restart - 1) < 0.5 ** (cycle - 1) / 10


def timm_cosine(t: int, period: int, mult: float, decay: float, low: float) -> float:
    """timm's CosineLRScheduler: the cycle's number from a logarithm, its peak times decay^i."""
    cycle, start, length = 0, 0, period
    while t >= start + length:
        cycle, start, length = cycle + 1, start + length, round(length * mult)
    high = LR * decay**cycle
    return low + 0.5 * (high - low) * (1 + math.cos(math.pi * (t - start) / length))


@pytest.mark.parametrize("decay", [0.8, 0.5, 0.1])
@pytest.mark.parametrize("mult", [1, 2])
def test_decaying_restarts_follow_timm(decay: float, mult: int) -> None:
    ours = table(f"sgdr(15it, mult={mult}, decay={decay}, min=0.001)", 7)
    theirs = [timm_cosine(t, 15, mult, decay, 0.001) for t in range(7 * EPOCHS)]
    assert_same(ours, theirs)


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
@pytest.mark.parametrize("half", [1, 3, 10])
@pytest.mark.parametrize(
    ("spec", "mode", "gamma"),
    [
        ("triangular({h}, min=0.03)", "triangular", 1.0),
        ("triangular2({h}, min=0.03)", "triangular2", 1.0),
        ("exp_range({h}, min=0.03, gamma=0.99)", "exp_range", 0.99),
    ],
)
def test_triangles_equal_torch(
    spec: str, mode: str, gamma: float, half: int, steps_per_epoch: int
) -> None:
    steps = EPOCHS * steps_per_epoch
    theirs, _ = trace(
        lambda o: torch_lr.CyclicLR(
            o, 0.03, LR, half, mode=mode, gamma=gamma, cycle_momentum=False
        ),
        steps,
    )
    assert_same(table(spec.replace("{h}", f"{half}it"), steps_per_epoch), theirs)


def test_triangle_counted_in_epochs_equals_torch_stepped_per_epoch() -> None:
    theirs, _ = trace(lambda o: torch_lr.CyclicLR(o, 0.03, LR, 4, cycle_momentum=False), EPOCHS)
    assert_same(table("triangular(4ep, min=10%, update=epoch)", 7), per_epoch(theirs, 7))


def lrbench_formulas(t: int, half: int, gamma: float, low: float) -> dict[str, float]:
    """The periodic policies of LRBench (Wu et al. 2019), as its paper writes them."""
    sine = abs(math.sin(math.pi * t / (2 * half)))
    cosine = (1 + math.cos(math.pi * t / half)) / 2
    shapes = {
        "sin": sine,
        "sin2": sine / 2 ** (t // (2 * half)),
        "sinexp": sine * gamma**t,
        "cos2": cosine / 2 ** ((t + half) // (2 * half)),
        "cosexp": cosine * gamma**t,
    }
    return {name: low + (LR - low) * shape for name, shape in shapes.items()}


@pytest.mark.parametrize("name", ["sin", "sin2", "sinexp", "cos2", "cosexp"])
def test_periodic_family_follows_lrbench(name: str) -> None:
    gamma = ", gamma=0.98" if name.endswith("exp") else ""
    ours = table(f"{name}(9it, min=0.03{gamma})", 7)
    theirs = [lrbench_formulas(t, 9, 0.98, 0.03)[name] for t in range(7 * EPOCHS)]
    assert_same(ours, theirs)


@pytest.mark.parametrize(
    ("spec", "peaks"),
    [("sgdr", 3), ("sgdr(mult=2)", 3), ("triangular", 2), ("sin", 2), ("sgdr(decay=0.8)", 3)],
)
@pytest.mark.parametrize("steps", [96, 105, 1000])
def test_bare_names_fit_whole_cycles_into_the_run(spec: str, peaks: int, steps: int) -> None:
    lrs = parse(spec).table(lr=1.0, steps=steps, steps_per_epoch=steps // 8 or 1)
    padded = [0.0, *lrs, 0.0]
    tops = [
        place
        for place in range(1, steps + 1)
        if padded[place] > padded[place - 1] and padded[place] >= padded[place + 1]
    ]
    assert len(tops) == peaks
    assert lrs[-1] < 0.25


def test_the_cycle_of_the_article() -> None:
    """CLR from 0.001 to 0.1, a cycle of 10 epochs; cosine restarts whose peak falls by 0.8."""
    run = parse("triangular(5ep, min=0.001)").bind(lr=0.1, steps=200, steps_per_epoch=10)
    assert [run.lr(step) for step in (0, 50, 100, 150)] == pytest.approx([0.001, 0.1, 0.001, 0.1])
    restarts = parse("sgdr(10ep, decay=0.8)").bind(lr=0.1, steps=400, steps_per_epoch=10)
    assert [restarts.lr(step) for step in (0, 100, 200, 300)] == pytest.approx(
        [0.1, 0.08, 0.064, 0.0512]
    )
