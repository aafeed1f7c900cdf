"""Every curve against torch's own values at every step, or its paper's formula."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

import pytest

from lrbench.errors import UsageError
from lrbench.schedules import parse
from tests.schedules.test_torch_names import torch_trace, updated

LR, EPOCHS = 0.1, 20  # the base LR of `torch_trace`


def assert_same(ours: Sequence[float], theirs: Sequence[float]) -> None:
    """Every one within a relative 1e-12, zeros exactly."""
    assert len(ours) == len(theirs)
    for step, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        assert abs(mine - other) <= 1e-12 * max(abs(mine), abs(other)), (step, mine, other)


def table(spec: str, steps: int, steps_per_epoch: int = 10, lr: float = LR) -> list[float]:
    return parse(spec).table(lr=lr, steps=steps, steps_per_epoch=steps_per_epoch)


# spec with {u} for the unit of a count -> torch's class, with {T} for the number of counts
TORCH = {
    "step(6{u})": "StepLR(6)", "step(7{u}, gamma=0.5)": "StepLR(7, 0.5)",
    "multistep([3{u}, 4{u}, 19{u}], gamma=0.3)": "MultiStepLR([3, 4, 19], 0.3)",
    "linear()": "LinearLR(1.0, 0.0, {T})", "linear(to=20%, duration=8{u})": "LinearLR(1.0, 0.2, 8)",
    "polynomial(power=0.9)": "PolynomialLR({T}, 0.9)", "cosine()": "CosineAnnealingLR({T})",
    "cosine(min=0.01)": "CosineAnnealingLR({T}, 0.01)",
    "sgdr(3{u}, mult=2, min=0.01)": "CosineAnnealingWarmRestarts(3, 2, 0.01)",
    "sgdr(2{u}, mult=3)": "CosineAnnealingWarmRestarts(2, 3)",
    "triangular(3{u}, min=0.03)": "CyclicLR(0.03, 0.1, 3)",
    "triangular2(10{u}, min=0.03)": "CyclicLR(0.03, 0.1, 10, mode='triangular2')",
}  # fmt: skip
PER_BATCH = {
    **TORCH,
    "constant(6it, at=25%) + constant": "ConstantLR(0.25, 6)",
    "exp_range(3it, min=0.03, gamma=0.99)": "CyclicLR(0.03, 0.1, 3, mode='exp_range', gamma=0.99)",
    "warmup(5it, from=1%) + cosine":
        "SequentialLR([LinearLR(0.01, 1.0, 5), CosineAnnealingLR({T} - 5)], [5])",
    "knee(50%)": "SequentialLR([ConstantLR(1.0, 1), LinearLR(1.0, 0.0, {T} // 2)], [{T} // 2])",
}  # fmt: skip
PER_EPOCH = {
    **TORCH,
    "exponential(gamma=0.9)": "ExponentialLR(0.9)", "exponential(gamma=1.1)": "ExponentialLR(1.1)",
    'multiplicative("1 - 1/(2+epoch)")': "MultiplicativeLR('1 - 1/(2+epoch)')",
    'multiplicative("0.5 if epoch == 10 else 1")': "MultiplicativeLR('0.5 if epoch == 10 else 1')",
}  # fmt: skip


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
@pytest.mark.parametrize("spec", PER_BATCH)
def test_equals_torch_stepped_per_batch(spec: str, steps_per_epoch: int) -> None:
    steps = 2 * EPOCHS * steps_per_epoch
    theirs = [lr for lr, _ in torch_trace(PER_BATCH[spec].format(T=steps), steps)]
    assert_same(table(spec.replace("{u}", "it"), steps, steps_per_epoch), theirs)


@pytest.mark.parametrize("spec", PER_EPOCH)
def test_equals_torch_stepped_per_epoch(spec: str) -> None:
    held = updated(spec.replace("{u}", "ep"), "epoch")
    theirs = torch_trace(PER_EPOCH[spec].format(T=EPOCHS), EPOCHS)
    wanted = [lr for lr, _ in theirs for _ in range(7)]
    assert_same(held.table(lr=LR, steps=EPOCHS * 7, steps_per_epoch=7), wanted)


@pytest.mark.parametrize("steps", [10, 35, 140])
@pytest.mark.parametrize(
    ("own", "options"),
    [
        ("", ""),
        ("peak_at=40%, div=10, final_div=100",
         ", pct_start=0.4, div_factor=10, final_div_factor=100"),
        ("anneal=linear", ", anneal_strategy='linear'"),
        ("peak_at=20%, base_momentum=0.8, max_momentum=0.9",
         ", pct_start=0.2, base_momentum=0.8, max_momentum=0.9"),
    ],
)  # fmt: skip
def test_onecycle_and_its_momentum_equal_torch(own: str, options: str, steps: int) -> None:
    lrs, momenta = zip(*torch_trace(f"OneCycleLR(0.1, {steps}{options})", steps), strict=True)
    run = parse(f"onecycle({own})").bind(LR, steps, 5)
    assert_same([run.lr(step) for step in range(steps)], lrs)
    assert_same([run.momentum(step) or 0.0 for step in range(steps)], momenta)


def test_momentum_is_moved_by_a_cycle_in_its_phase_alone() -> None:
    assert parse("onecycle(cycle_momentum=False)").bind(0.1, 100, 10).momentum(5) is None
    assert parse("triangular").bind(0.1, 100, 10).momentum(5) is None
    run = parse("constant(50%) + onecycle").bind(0.1, 100, 10)
    assert run.momentum(49) is None
    assert run.momentum(50) == pytest.approx(0.95)


T, E, W = 140, 7, 14  # of the formulas below


def slanted(t: int, cut: int, ratio: float) -> float:
    """Howard & Ruder's pseudo-code, with their cut_frac = cut/T."""
    p = t / cut if t < cut else 1 - (t - cut) / (cut * (T / cut - 1))
    return (1 + p * (ratio - 1)) / ratio


def sine(t: int) -> float:
    return abs(math.sin(math.pi * t / 18))


def cosine(t: int) -> float:
    return (1 + math.cos(math.pi * t / 9)) / 2


def from_tenth(height: float) -> float:
    return 0.1 + 0.9 * height


def exp_way(t: float) -> float:
    return 1 - math.exp(-5 * t)


FORMULAS: dict[str, Callable[[int], float]] = {
    "natural_exp(k=0.2)": lambda t: math.exp(-0.2 * t / E),
    "inverse_time(k=0.1, power=0.75)": lambda t: (1 + 0.1 * t / E) ** -0.75,
    "exponential(gamma=0.9)": lambda t: 0.9 ** (t / E),
    "tanh(lb=-6, ub=4, min=10%)": lambda t: from_tenth((1 - math.tanh(-6 + 10 * t / T)) / 2),
    "inverse_sqrt(warmup=10%)": lambda t: min((t + 1) / W, math.sqrt(W / (t + 1))),
    "noam(d=64, warmup=2ep)": lambda t: 64**-0.5 * min((t + 1) ** -0.5, (t + 1) * W**-1.5),
    "power(a=0.7, warmup=2ep)": lambda t: min((t + 1) / W, ((t + 1) / W) ** -0.7),
    "slanted_triangular(cut=20%, ratio=10)": lambda t: slanted(t, 28, 10),
    # the periodic policies of LRBench (Wu et al. 2019), as its paper writes them
    "sin(9it)": lambda t: from_tenth(sine(t)),
    "sin2(9it)": lambda t: from_tenth(sine(t) / 2 ** (t // 18)),
    "sinexp(9it, gamma=0.98)": lambda t: from_tenth(sine(t) * 0.98**t),
    "cos2(9it)": lambda t: from_tenth(cosine(t) / 2 ** ((t + 9) // 18)),
    "cosexp(9it, gamma=0.98)": lambda t: from_tenth(cosine(t) * 0.98**t),
    "powercool(c=200%, power=1.5)": lambda t: min(1, 2 * (1 - t / T) ** 1.5),
    "rex(min=10%)": lambda t: from_tenth((1 - t / T) / (1 - t / T / 2)),
    # the exponential warm-up of pytorch_warmup, with its tau = 4, on top of another schedule
    "warmup(20it, shape=exp) * cosine":
        lambda t: exp_way((t + 1) / 20) * (1 + math.cos(math.pi * t / T)) / 2,
    "constant(2ep) + linear(duration=2ep) * constant(at=50%)":
        lambda t: 1 if t < 14 else 0.5 * max(0, 28 - t) / 14,
    "warmup(1ep, from=0) + step(5ep, clock=run, update=epoch)":
        lambda t: t / 7 if t < 7 else 0.1 ** (t // 35),
    "warmup(0%) + linear": lambda t: 1 - t / T,
    "warmup(20it, shape=exp) + constant": lambda t: exp_way((t + 1) / 20) if t < 20 else 1,
    "warmup(20it, from=10%, shape=exp_normalised) + constant":
        lambda t: from_tenth(exp_way(t / 20) / exp_way(1)) if t < 20 else 1,
    "warmup(20it, from=10%, shape=constant) + constant": lambda t: 0.1 if t < 20 else 1,
    # Paddle's LinearWarmup asks what follows at t - W
    "warmup(20it, from=0) + multistep([3ep, 4ep])":
        lambda t: t / 20 if t < 20 else 0.1 ** ((t >= 41) + (t >= 48)),
}  # fmt: skip


@pytest.mark.parametrize("spec", FORMULAS)
def test_formula(spec: str) -> None:
    assert_same(table(spec, T, E), [LR * FORMULAS[spec](t) for t in range(T)])


@pytest.mark.parametrize(("period", "mult"), [(1, 1), (7, 2), (10, 3), (10, 1.5), (7, 5)])
def test_every_restart_is_at_the_peak(period: int, mult: float) -> None:
    """Torch's closed form returns 0 at step 1210 of period 10, mult 3."""
    run = parse(f"sgdr({period}it, mult={mult})").bind(lr=0.1, steps=1210, steps_per_epoch=10)
    for exact in accumulate((period * mult**cycle for cycle in range(12)), initial=0.0):
        restart = math.floor(exact + 0.5)
        assert run.lr(restart) == 0.1
        if restart > 1 and period * mult > 1:
            assert run.lr(restart - 1) < 0.1


@pytest.mark.parametrize(
    ("spec", "peaks"),
    [("sgdr", 3), ("sgdr(mult=2)", 3), ("triangular", 2), ("sin", 2), ("sgdr(decay=0.8)", 3)],
)
@pytest.mark.parametrize("steps", [96, 105, 1000])
def test_bare_names_fit_whole_cycles_into_the_run(spec: str, peaks: int, steps: int) -> None:
    lrs = [0.0, *table(spec, steps, 8, lr=1.0), 0.0]
    tops = [t for t in range(1, steps + 1) if lrs[t - 1] < lrs[t] >= lrs[t + 1]]
    assert len(tops) == peaks
    assert lrs[-2] < 0.25


@pytest.mark.parametrize(
    ("spec", "steps", "expected"),
    [
        # stairs are summed before they are rounded: at 33.33 and 66.67
        ("step(gamma=0.5)", 100, [4.0] * 33 + [2.0] * 34 + [1.0] * 33),
        # a milestone acts from its first step on, rounds half up, and is at least a step
        ("multistep([50%], gamma=0.5)", 7, [4.0] * 4 + [2.0] * 3),
        ("multistep([1%], gamma=0.5)", 5, [4.0] + [2.0] * 4),
        # boundaries are summed first, then rounded half up: 2.5 -> 3, then 5.0 -> 5
        ("constant(25%, at=1) + constant(25%, at=2) + constant(at=3)", 10,
         [1] * 3 + [2] * 2 + [3] * 5),
        ("constant(1%, at=1) + constant(1%, at=2) + constant(at=3)", 10, [1, 2] + [3] * 8),
        # each phase starts again from the base LR; shares in it are of the run
        ("linear(duration=50%) + linear", 8, [4, 3, 2, 1] * 2),
        ("constant(50%) + multistep([20%], gamma=0.5)", 100, [4.0] * 70 + [2.0] * 30),
        ("warmup(4it, from=0) + constant", 6, [0, 1, 2, 3, 4, 4]),
        ('expr("epoch", update=epoch)', 21, [0.0] * 10 + [4.0] * 10 + [8.0]),
    ],
)  # fmt: skip
def test_boundaries(spec: str, steps: int, expected: list[float]) -> None:
    assert table(spec, steps, lr=4.0) == expected


MARKS = ("90%, 2ep", "10it, 1ep", "3, 2", "3, 3")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        *((f"multistep([{marks}])", "milestones must increase") for marks in MARKS),
        ("multistep([])", "milestones must name at least one"),
        ("multistep([50%], gamma=[0.5, 0.1])", "one factor for each"),
        ("warmup(0%)", "is empty"),
        ("warmup(2it, shape=constant) + constant", "needs from"),
    ],
)
def test_what_does_not_fit_is_refused(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(spec).bind(lr=0.1, steps=50, steps_per_epoch=10)


ENDS = {
    "exponential": 0.01, "natural_exp": 0.01, "multiplicative": 0.01, "inverse_time": 0.05,
    "StepLR": 0.01, "MultiStepLR": 0.01, "ExponentialLR": 0.01, "linear": 0.0,
    "warmup(5%) + cosine": 0.0, "polynomial(power=2, to=10%)": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("spec", ENDS)
def test_bare_decays_end_with_the_run(spec: str) -> None:
    run = parse(spec).bind(lr=1.0, steps=100_000, steps_per_epoch=100)
    assert run.lr(99_999) == pytest.approx(ENDS[spec], abs=2e-4)


HELD = {  # the spec -> how many of 100 steps it changes, and what stays from there on
    "cosine(duration=50%)": (50, 0.0), "linear(to=20%, duration=50%)": (50, 0.2),
    "warmup(50%)": (50, 1.0), "constant(50%, at=30%)": (50, 0.3),
    "step(1ep, gamma=0.5, duration=5ep)": (50, 0.5**4),
    "multistep([1ep, 5ep], gamma=0.5, duration=5ep)": (50, 0.5),
    "triangular(25%, min=10%, duration=50%)": (50, 0.1),
    "exponential(gamma=0.5, duration=5ep)": (50, 0.5**5),
    "3*(warmup(1ep) + cosine(duration=1ep))": (60, 0.0),
    "sgdr(25%, duration=50%)": (50, (1 + math.cos(math.pi * 24 / 25)) / 2),
    # LRBench's POLY turns complex past the end, torch's cosine climbs back
    "polynomial(power=1.2)": (100, 0.0), "cosine(min=1%)": (100, 0.01),
    "linear": (100, 0.0), "rex": (100, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("spec", HELD)
def test_a_last_phase_holds_its_end_value(spec: str) -> None:
    """Stairs hold the last stair, cycles do not restart at the boundary."""
    length, end = HELD[spec]
    run = parse(spec).bind(lr=1.0, steps=100, steps_per_epoch=10)
    for step in (length, length + 1, 150, 10**9):
        assert run.lr(step) == pytest.approx(end, abs=1e-15)


def test_repetition_is_the_sequence_written_out() -> None:
    part = "warmup(2%, from=0) + cosine(duration=30%)"
    assert table(f"3*({part})", 100) == table(f"{part} + {part} + {part}", 100)
