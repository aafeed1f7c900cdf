"""Decays: torch's own values at every step, closed forms, and the articles' examples."""

from __future__ import annotations

import math

import pytest
from torch.optim import lr_scheduler as torch_lr

from lrbench.errors import UsageError
from lrbench.schedules import parse
from tests.schedules.torch_reference import LR, assert_same, per_epoch, trace

EPOCHS = 20


def table(spec: str, steps_per_epoch: int, epochs: int = EPOCHS) -> list[float]:
    return parse(spec).table(lr=LR, steps=epochs * steps_per_epoch, steps_per_epoch=steps_per_epoch)


STEPPED = {
    # spec with {n} for a count of calls, {u} its unit -> torch's class, by the number of calls T
    "step(6{u})": lambda T: lambda o: torch_lr.StepLR(o, 6),
    "step(7{u}, gamma=0.5)": lambda T: lambda o: torch_lr.StepLR(o, 7, 0.5),
    "step(1{u}, gamma=0.9)": lambda T: lambda o: torch_lr.StepLR(o, 1, 0.9),
    "multistep([5{u}, 12{u}])": lambda T: lambda o: torch_lr.MultiStepLR(o, [5, 12]),
    "multistep([3{u}, 4{u}, 19{u}], gamma=0.3)": lambda T: (
        lambda o: torch_lr.MultiStepLR(o, [3, 4, 19], 0.3)
    ),
    "linear": lambda T: lambda o: torch_lr.LinearLR(o, 1.0, 0.0, T),
    "linear(to=20%)": lambda T: lambda o: torch_lr.LinearLR(o, 1.0, 0.2, T),
    "linear(to=20%, duration=8{u})": lambda T: lambda o: torch_lr.LinearLR(o, 1.0, 0.2, 8),
    "polynomial(power=2)": lambda T: lambda o: torch_lr.PolynomialLR(o, T, 2.0),
    "polynomial(power=0.9)": lambda T: lambda o: torch_lr.PolynomialLR(o, T, 0.9),
    "polynomial(power=3, duration=11{u})": lambda T: lambda o: torch_lr.PolynomialLR(o, 11, 3.0),
    "cosine": lambda T: lambda o: torch_lr.CosineAnnealingLR(o, T),
    "cosine(min=0.01)": lambda T: lambda o: torch_lr.CosineAnnealingLR(o, T, 0.01),
    "constant(6{u}, at=25%) + constant": lambda T: lambda o: torch_lr.ConstantLR(o, 0.25, 6),
}


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
@pytest.mark.parametrize("spec", STEPPED)
def test_equals_torch_stepped_per_batch(spec: str, steps_per_epoch: int) -> None:
    steps = EPOCHS * steps_per_epoch
    theirs, _ = trace(STEPPED[spec](steps), steps)
    assert_same(table(spec.replace("{u}", "it"), steps_per_epoch), theirs)


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
@pytest.mark.parametrize("spec", STEPPED)
def test_equals_torch_stepped_per_epoch(spec: str, steps_per_epoch: int) -> None:
    name, _, rest = spec.replace("{u}", "ep").partition("(")
    ours = f"{name}({rest[:-1]}, update=epoch)" if rest else f"{name}(update=epoch)"
    ours = spec.replace("{u}", "ep") if "+" in spec else ours
    theirs, _ = trace(STEPPED[spec](EPOCHS), EPOCHS)
    assert_same(table(ours, steps_per_epoch), per_epoch(theirs, steps_per_epoch))


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
@pytest.mark.parametrize("gamma", [0.95, 0.5, 1.02])
def test_exponential_equals_torch(gamma: float, steps_per_epoch: int) -> None:
    theirs, _ = trace(lambda o: torch_lr.ExponentialLR(o, gamma), EPOCHS)
    ours = table(f"exponential(gamma={gamma}, update=epoch)", steps_per_epoch)
    assert_same(ours, per_epoch(theirs, steps_per_epoch))
    steps = EPOCHS * steps_per_epoch
    theirs, _ = trace(lambda o: torch_lr.ExponentialLR(o, gamma ** (1 / steps_per_epoch)), steps)
    assert_same(table(f"exponential(gamma={gamma})", steps_per_epoch), theirs)


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
def test_multiplicative_equals_torch(steps_per_epoch: int) -> None:
    for text, factor in [
        ("0.9", lambda epoch: 0.9),
        ("1 - 1/(2+epoch)", lambda epoch: 1 - 1 / (2 + epoch)),
        ("0.5 if epoch == 10 else 1", lambda epoch: 0.5 if epoch == 10 else 1),
    ]:
        theirs, _ = trace(lambda o, f=factor: torch_lr.MultiplicativeLR(o, f), EPOCHS)
        ours = table(f'multiplicative("{text}")', steps_per_epoch)
        assert_same(ours, per_epoch(theirs, steps_per_epoch))


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
def test_closed_forms_that_torch_lacks(steps_per_epoch: int) -> None:
    steps = EPOCHS * steps_per_epoch
    epochs = [step / steps_per_epoch for step in range(steps)]
    expected = {
        "natural_exp(k=0.2)": [LR * math.exp(-0.2 * e) for e in epochs],
        "inverse_time(k=0.5)": [LR / (1 + 0.5 * e) for e in epochs],
        "inverse_time(k=0.1, power=0.75)": [LR * (1 + 0.1 * e) ** -0.75 for e in epochs],
        "cosine(power=2)": [
            LR * (1 + math.cos(math.pi * (step / steps) ** 2)) / 2 for step in range(steps)
        ],
    }
    for spec, values in expected.items():
        assert_same(table(spec, steps_per_epoch), values)


def test_stairs_are_summed_before_they_are_rounded() -> None:
    """100 steps in three: stairs at 33.33 and 66.67, so at steps 33 and 67, not at 33 and 66."""
    lrs = parse("step(gamma=0.5)").table(lr=4.0, steps=100, steps_per_epoch=10)
    assert lrs == [4.0] * 33 + [2.0] * 34 + [1.0] * 33


def test_a_milestone_acts_from_its_first_step_on_and_rounds_half_up() -> None:
    lrs = parse("multistep([50%], gamma=0.5)").table(lr=4.0, steps=7, steps_per_epoch=7)
    assert lrs == [4.0] * 4 + [2.0] * 3
    first = parse("multistep([1%], gamma=0.5)").table(lr=4.0, steps=5, steps_per_epoch=5)
    assert first == [4.0] + [2.0] * 4  # at least one step


@pytest.mark.parametrize("spec", ["multistep([90%, 2ep])", "multistep([10it, 1ep])"])
def test_milestones_of_several_units_must_rise_on_the_clock(spec: str) -> None:
    with pytest.raises(UsageError, match="milestones must rise"):
        parse(spec).bind(lr=0.1, steps=50, steps_per_epoch=10)


@pytest.mark.parametrize(
    ("spec", "end"),
    [
        ("exponential", 0.01),
        ("natural_exp", 0.01),
        ("multiplicative", 0.01),
        ("inverse_time", 0.05),
        ("linear", 0),
        ("cosine", 0),
        ("polynomial(power=2, to=10%)", 0.1),
    ],
)
def test_bare_decays_end_with_the_run(spec: str, end: float) -> None:
    run = parse(spec).bind(lr=1.0, steps=100_000, steps_per_epoch=100)
    assert run.lr(99_999) == pytest.approx(end, abs=2e-4)


@pytest.mark.parametrize("spec", ["linear", "cosine(min=1%)", "polynomial(power=1.2)", "rex"])
def test_nothing_strange_past_the_end(spec: str) -> None:
    """LRBench's POLY turns complex there, torch's cosine climbs back."""
    run = parse(spec).bind(lr=1.0, steps=100, steps_per_epoch=10)
    assert {run.lr(step) for step in (100, 101, 150, 200, 10**9)} == {run.lr(100)}
    assert run.lr(100) <= 0.01


def test_examples_of_the_articles() -> None:
    """The numbers that the articles get wrong, right (0-based epochs)."""
    exponential = parse("exponential(gamma=0.99)").bind(lr=0.1, steps=101, steps_per_epoch=1)
    assert exponential.lr(100) == pytest.approx(0.036603, abs=5e-7)

    falling = 'expr("1 if epoch < 50 else 1-(epoch-50)*{}")'
    slow = parse(falling.format(0.001875)).bind(lr=0.1, steps=600, steps_per_epoch=1)
    assert slow.lr(100) == pytest.approx(0.090625)
    assert slow.lr(530) == pytest.approx(0.01)
    right = parse(falling.format(0.018)).bind(lr=0.1, steps=101, steps_per_epoch=1)
    assert right.lr(75) == pytest.approx(0.055)
    assert right.lr(100) == pytest.approx(0.01)

    stairs = parse("step(30)").table(lr=0.1, steps=90, steps_per_epoch=1)
    assert [round(lr, 9) for lr in (stairs[29], stairs[30], stairs[59], stairs[60])] == [
        0.1, 0.01, 0.01, 0.001,
    ]  # fmt: skip
    marks = parse("multistep([10, 30, 80])").table(lr=1.0, steps=100, steps_per_epoch=1)
    assert [sum(lr > edge for lr in marks) for edge in (0.5, 0.05, 0.005)] == [10, 30, 80]

    misnamed = parse("exponential(gamma=0.95)").bind(0.1, 100, 1)
    assert misnamed.lr(10) == pytest.approx(0.1 * 0.95**10)
    time_decay = parse("inverse_time(k=0.1)").bind(0.1, 100, 1)
    assert time_decay.lr(10) == pytest.approx(0.05)
