"""torch's names against torch's classes: the spec is executed as the code that it is."""

# ruff: noqa: E501  (a spec a line)
from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from lrbench.errors import Topic, UsageError
from lrbench.schedules import SCHEDULES, check, parse

LR = 0.1
CLASSES = [name for name in lr_scheduler.__all__ if name != "LRScheduler"]

# One spec a line, each both a spec and Python code.
ALONE = """
ConstantLR()
ConstantLR(factor=0.25, total_iters=9)
ConstantLR(factor=1.0, total_iters=1)
LinearLR()
LinearLR(start_factor=1.0, end_factor=0.0, total_iters=25)
LinearLR(start_factor=0.001, total_iters=13)
LinearLR(0.5, 0.25, 40)
StepLR(step_size=30)
StepLR(step_size=1, gamma=0.9)
StepLR(7, 0.5)
MultiStepLR(milestones=[10, 30])
MultiStepLR([3, 4, 4, 20], gamma=0.3)
MultiStepLR(milestones=[20, 5], gamma=0.1)
MultiStepLR(milestones=[0, 5], gamma=0.5)
ExponentialLR(gamma=0.95)
ExponentialLR(1.01)
PolynomialLR()
PolynomialLR(total_iters=50, power=2.0)
PolynomialLR(25, 0.9)
CosineAnnealingLR(T_max=50)
CosineAnnealingLR(T_max=10, eta_min=0.001)
CosineAnnealingLR(T_max=1)
CosineAnnealingLR(49, 0.2)
CosineAnnealingLR(T_max=12.5)
CosineAnnealingWarmRestarts(T_0=10)
CosineAnnealingWarmRestarts(T_0=3, T_mult=2, eta_min=0.01)
CosineAnnealingWarmRestarts(1, 5)
CyclicLR(base_lr=0.001, max_lr=0.1, step_size_up=5)
CyclicLR(base_lr=0, max_lr=0.3, step_size_up=5, step_size_down=9, mode="triangular2")
CyclicLR(0.01, 0.1, 4, mode="exp_range", gamma=0.97, base_momentum=0.7, max_momentum=0.99)
CyclicLR(base_lr=0.01, max_lr=0.1, step_size_up=1, cycle_momentum=False)
OneCycleLR(max_lr=0.4, total_steps=50)
OneCycleLR(max_lr=0.4, epochs=10, steps_per_epoch=5, pct_start=0.1, div_factor=10.0)
OneCycleLR(0.4, 50, anneal_strategy="linear", final_div_factor=50)
OneCycleLR(max_lr=0.4, total_steps=50, three_phase=True, base_momentum=0.5, max_momentum=0.9)
OneCycleLR(max_lr=0.4, total_steps=51, three_phase=True, pct_start=0.25, cycle_momentum=False)
LambdaLR(lr_lambda="0.95**epoch")
LambdaLR(lr_lambda="1 if epoch < 5 else max(0.1, 1 - (epoch - 5) / 40)")
MultiplicativeLR(lr_lambda="0.95")
MultiplicativeLR(lr_lambda="1 - 1 / (epoch + 2)")
""".strip().splitlines()

NESTED = """
SequentialLR([LinearLR(start_factor=0.1, total_iters=5), CosineAnnealingLR(T_max=45)], milestones=[5])
SequentialLR(schedulers=[ConstantLR(0.1, 20), ExponentialLR(0.9)], milestones=[20])
SequentialLR([LinearLR(0.1, total_iters=4), StepLR(5), CosineAnnealingWarmRestarts(3, 2)], milestones=[4, 20])
SequentialLR([LinearLR(0.1), StepLR(1), ExponentialLR(0.9)], milestones=[3, 3])
SequentialLR([LinearLR(0.1, total_iters=5), MultiplicativeLR(lr_lambda="0.5 + epoch / 100")], milestones=[3])
SequentialLR([LambdaLR("(epoch + 1) / 10"), PolynomialLR(20, 2.0), ConstantLR(0.5, 100)], milestones=[10, 40])
SequentialLR([LinearLR(0.1, total_iters=3), OneCycleLR(max_lr=0.5, total_steps=50)], milestones=[3])
SequentialLR([OneCycleLR(max_lr=0.5, total_steps=50), ExponentialLR(0.9)], milestones=[20])
SequentialLR([CyclicLR(0.01, 0.5, 2), ExponentialLR(0.9)], milestones=[7])
SequentialLR([ExponentialLR(0.9), CyclicLR(0.01, 0.5, 2)], milestones=[7])
SequentialLR([ExponentialLR(0.9), CyclicLR(0.01, 0.5, 2), StepLR(3)], milestones=[7, 19])
SequentialLR([StepLR(3), CyclicLR(0.01, 0.1, 2, base_momentum=0.6), OneCycleLR(0.5, 50)], milestones=[5, 20])
SequentialLR([CyclicLR(0.01, 0.1, 2), StepLR(3), ExponentialLR(0.9)], milestones=[5, 20])
SequentialLR([MultiStepLR([2, 8])], milestones=[])
ChainedScheduler([ConstantLR(factor=0.1, total_iters=4), ExponentialLR(gamma=0.9)])
ChainedScheduler([LinearLR(0.25, total_iters=6), StepLR(10), PolynomialLR(40)])
ChainedScheduler([CosineAnnealingLR(T_max=20), LinearLR(0.1, total_iters=5)])
ChainedScheduler([LinearLR(0.1, total_iters=5), CosineAnnealingLR(T_max=60, eta_min=0.001)])
ChainedScheduler([ExponentialLR(0.9), LambdaLR(lr_lambda="0.99**epoch"), StepLR(4)])
ChainedScheduler([StepLR(4), CosineAnnealingWarmRestarts(5, 2), ConstantLR(0.5, 10)])
ChainedScheduler([OneCycleLR(max_lr=0.5, total_steps=50), LinearLR(0.1, total_iters=3)])
ChainedScheduler([CyclicLR(0.1, 0.5, 2), CosineAnnealingLR(15)])
ChainedScheduler([SequentialLR([LinearLR(0.1, total_iters=3), CosineAnnealingLR(47)], milestones=[3]), StepLR(9)])
ChainedScheduler([StepLR(9), SequentialLR([ConstantLR(0.1, 9), MultiplicativeLR("0.9")], milestones=[3])])
ChainedScheduler([ChainedScheduler([LinearLR(0.1, total_iters=3), StepLR(4)]), CosineAnnealingLR(55)])
ChainedScheduler([MultiplicativeLR(lr_lambda="0.97"), ExponentialLR(0.99)])
""".strip().splitlines()

NESTED += [
    pytest.param(
        "SequentialLR([LinearLR(0.1, total_iters=5), StepLR(2, 0.5)], milestones=[0])",
        marks=pytest.mark.skipif(
            torch.__version__ < (2, 13), reason="see tests/engine/test_torch_facts.py"
        ),
    )
]

COUNTS = 50


def lambda_of(text: str) -> Any:
    return lambda epoch: eval(text, {"max": max, "epoch": epoch})


def executed(spec: str, optimizer: torch.optim.Optimizer) -> Any:
    """The scheduler that the text makes when it is run as code."""
    names: dict[str, Any] = {
        name: partial(getattr(lr_scheduler, name), optimizer) for name in CLASSES
    }
    names["ChainedScheduler"] = lr_scheduler.ChainedScheduler
    for name in ("LambdaLR", "MultiplicativeLR"):
        make = names[name]
        names[name] = lambda lr_lambda, make=make: make(lr_lambda=lambda_of(lr_lambda))
    return eval(spec, names)


def torch_trace(spec: str, counts: int = COUNTS) -> list[tuple[float, float]]:
    """LR and momentum at each count."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.5)
    trace = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own order of steps
        scheduler = executed(spec, optimizer)
        for _ in range(counts):
            group = optimizer.param_groups[0]
            trace.append((group["lr"], group["momentum"]))
            optimizer.step()
            scheduler.step()
    return trace


@pytest.mark.parametrize("spec", [*ALONE, *NESTED])
@pytest.mark.parametrize("steps_per_epoch", [1, 7])
@pytest.mark.parametrize("update", ["epoch", "step"])
def test_equals_torch_at_every_step(spec: str, update: str, steps_per_epoch: int) -> None:
    """Stepped once an epoch and once a step. The rounding of torch's recurrences for a cosine
    grows where it is near its trough, hence the absolute tolerance."""
    size = steps_per_epoch if update == "epoch" else 1
    schedule = parse(f"{spec[:-1]}, update={update})".replace("(, ", "("))
    bound = schedule.bind(LR, COUNTS * size, steps_per_epoch)
    for count, (lr, momentum) in enumerate(torch_trace(spec)):
        for step in {count * size, (count + 1) * size - 1}:
            assert bound.lr(step) == pytest.approx(lr, rel=1e-12, abs=1e-16), (count, step)
            own = bound.momentum(step)
            assert momentum == pytest.approx(0.5 if own is None else own, rel=1e-12)


@pytest.mark.parametrize("spec", [*ALONE, *NESTED])
def test_any_step_in_any_order(spec: str) -> None:
    schedule = parse(spec)
    table = schedule.table(lr=LR, steps=COUNTS * 3, steps_per_epoch=3)
    bound = schedule.bind(LR, COUNTS * 3, 3)
    assert [bound.lr(step) for step in reversed(range(COUNTS * 3))] == table[::-1]


@pytest.mark.parametrize("spec", [*ALONE, *NESTED])
def test_is_defined_far_past_the_end(spec: str) -> None:
    bound = parse(spec).bind(LR, COUNTS * 3, 3)
    for step in (0, 1, COUNTS * 3 - 1, COUNTS * 3, 10**6, 10**9):
        lr = bound.lr(step)
        assert not math.isnan(lr) and lr >= 0, step
        assert math.isfinite(lr) or "1.01" in spec


@pytest.mark.parametrize("spec", [*ALONE, *NESTED])
def test_prints_and_parses_back(spec: str) -> None:
    schedule = parse(spec)
    assert parse(str(schedule)) == schedule
    assert str(parse(str(schedule))) == str(schedule)


def test_every_class_of_torch_has_its_name() -> None:
    assert set(CLASSES) <= set(SCHEDULES.names())


def test_count_of_a_class_is_what_its_users_step_by() -> None:
    for name in CLASSES:
        definition = SCHEDULES.get(name).make
        if definition.watches is None:
            wanted = "step" if name in ("OneCycleLR", "CyclicLR") else "epoch"
            assert definition.update == wanted, name


@pytest.mark.parametrize("mult", [1, 2, 3, 5])
def test_restarts_are_at_the_peak_however_far_away(mult: int) -> None:
    spec = f"CosineAnnealingWarmRestarts(T_0=10, T_mult={mult})"
    bound = parse(spec).bind(lr=LR, steps=100, steps_per_epoch=1)
    start, length = 0, 10
    for _ in range(12):
        assert bound.lr(start) == LR
        start, length = start + length, length * mult
        assert bound.lr(start - 1) < LR / 2


def test_mult_3_is_right_where_the_closed_form_of_torch_is_not() -> None:
    bound = parse("CosineAnnealingWarmRestarts(10, 3)").bind(lr=1.0, steps=1300, steps_per_epoch=1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 10, 3)
    stepped = []
    for _ in range(1300):
        stepped.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert [bound.lr(step) for step in range(1300)] == pytest.approx(stepped, rel=1e-12, abs=1e-16)
    scheduler.step(1210)
    assert scheduler.get_last_lr()[0] == pytest.approx(0.0)
    assert bound.lr(1210) == 1.0


def test_past_its_end_cosine_climbs_polynomial_stays_and_one_cycle_holds() -> None:
    cosine = parse("CosineAnnealingLR(T_max=50)").bind(1e-3, 100, 1)
    assert cosine.lr(75) == pytest.approx(5.0e-4, rel=1e-12)
    assert cosine.lr(100) == pytest.approx(1e-3, rel=1e-12)
    assert parse("PolynomialLR(total_iters=5)").bind(1.0, 100, 1).lr(77) == 0
    one = parse("OneCycleLR(max_lr=1.0, total_steps=10)").bind(1.0, 100, 1)
    assert one.lr(9) == one.lr(10) == one.lr(99) == pytest.approx(4e-6)


@pytest.mark.parametrize(
    "pasted",
    [
        "torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.5)",
        "lr_scheduler.StepLR(optimizer, 30, 0.5)",
        "optim.lr_scheduler.StepLR(optimizer=optimizer, step_size=30, gamma=0.5)",
        "StepLR(30, gamma=0.5)",
    ],
)
def test_is_pasted_as_it_stands_in_code(pasted: str) -> None:
    assert str(parse(pasted)) == "StepLR(step_size=30, gamma=0.5)"


def test_nested_code_is_pasted_as_it_stands() -> None:
    pasted = """torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        schedulers=[
            torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=5),
            CosineAnnealingLR(optimizer, T_max=95),
        ],
        milestones=[5],
    )"""
    assert parse(pasted) == parse(
        "SequentialLR([LinearLR(start_factor=0.1), CosineAnnealingLR(T_max=95)], milestones=[5])"
    )


@pytest.mark.parametrize("name", [name for name in CLASSES if "Lambda" not in name])
def test_bare_names_fit_the_run(name: str) -> None:
    if name in ("SequentialLR", "ChainedScheduler", "MultiplicativeLR"):
        with pytest.raises(UsageError, match="needs"):
            parse(name)
        assert parse(SCHEDULES.get(name).facts["example"]).name == name
        return
    table = parse(name).table(lr=LR, steps=30, steps_per_epoch=3)
    assert all(0 <= lr <= LR for lr in table)
    fits = {"StepLR": 1e-3, "MultiStepLR": 1e-3, "ExponentialLR": LR * 0.01**0.9}
    if name in fits:
        assert table[-1] == pytest.approx(fits[name])


def test_an_lr_in_the_arguments_is_fixed() -> None:
    assert parse("OneCycleLR(max_lr=0.4, total_steps=50)").fixed_lr == 0.4
    assert parse("CyclicLR(base_lr=0.01, max_lr=0.2)").fixed_lr == 0.2
    assert parse("SequentialLR([ConstantLR, OneCycleLR(0.3)], milestones=[3])").fixed_lr == 0.3
    assert parse("OneCycleLR").fixed_lr is None
    assert parse("CosineAnnealingLR(T_max=5)").fixed_lr is None
    bound = parse("OneCycleLR(max_lr=0.4, total_steps=50)").bind(0.1, 50, 50)
    assert max(bound.lr(step) for step in range(50)) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("StepLR(step_size=0)", "step_size must be at least 1"),
        ("StepLR(step_size=30ep)", "step_size must be a plain number"),
        ("StepLR(30, verbose=True)", "no parameter 'verbose'"),
        ("StepLR(30, last_epoch=5)", "no parameter 'last_epoch'"),
        ("LinearLR(start_factor=0)", "above 0 and at most 1"),
        ("ConstantLR(factor=1.5)", "factor must be at least 0 and at most 1"),
        ("CosineAnnealingLR(T_max=0)", "T_max must be above 0"),
        ("CosineAnnealingWarmRestarts(10, T_mult=1.5)", "T_mult must be a whole number"),
        ("CyclicLR(0.1, 0.2, mode=square)", "mode cannot be 'square'"),
        ("OneCycleLR(max_lr=[0.1, 0.2])", "max_lr must be a plain number"),
        ("LambdaLR(lr_lambda=lambda epoch: 0.95 ** epoch)", "expression in quotes"),
        ("LambdaLR()", "needs lr_lambda"),
        ("SequentialLR([cosine], milestones=[])", "takes torch's schedulers"),
        ("SequentialLR([ReduceLROnPlateau], milestones=[])", "without ReduceLROnPlateau"),
        ("SequentialLR([StepLR, StepLR], milestones=[])", "one milestone less"),
        ("SequentialLR([StepLR, StepLR, StepLR], milestones=[5, 3])", "must rise"),
        ("SequentialLR([StepLR(update=step)], milestones=[])", "takes no update="),
        ("SequentialLR([ChainedScheduler([StepLR])], milestones=[])", "cannot hold"),
        ("ChainedScheduler([])", "at least one"),
        ("ChainedScheduler([StepLR + StepLR])", "needs a length"),
        ("OneCycleLR(max_lr=0.1, epochs=5)", "both epochs and steps_per_epoch"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(spec).bind(LR, 100, 10)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("spec", "topic", "remedy"),
    [
        ("CosineAnnealingLR(T_max=50)", Topic.ENDS_AT_MAXIMUM, "set T_max=100 or use cosine"),
        ("CosineAnnealingLR(T_max=200)", Topic.UNFINISHED_DECAY, "set T_max=100"),
        ("CosineAnnealingLR(T_max=80)", Topic.ENDS_INSIDE_CYCLE, "set T_max=100"),
        ("MultiStepLR([30, 120])", Topic.MILESTONE_NOT_REACHED, "update=step"),
        ("StepLR(200)", Topic.MILESTONE_NOT_REACHED, "step_size=33"),
        ("CosineAnnealingWarmRestarts(30)", Topic.ENDS_INSIDE_CYCLE, "90 epochs or 120 epochs"),
        ("CyclicLR(0.01, 0.1)", Topic.ENDS_INSIDE_CYCLE, "4000 steps"),
        ("OneCycleLR(0.1, total_steps=2000)", Topic.UNFINISHED_DECAY, "total_steps=1000"),
        ("OneCycleLR(0.1, total_steps=500)", Topic.OTHER, "total_steps=1000"),
        (
            "SequentialLR([LinearLR, CosineAnnealingLR(47)], milestones=[5])",
            Topic.ENDS_AT_MAXIMUM,
            "set T_max=95",
        ),
        ("SequentialLR([LinearLR, StepLR], milestones=[500])", Topic.MILESTONE_NOT_REACHED, ""),
    ],
)
def test_what_does_not_fit_the_run_is_said(spec: str, topic: Topic, remedy: str) -> None:
    notices = check(parse(spec), LR, 1000, 10)
    assert [notice.topic for notice in notices] == [topic]
    assert remedy in notices[0].remedy


@pytest.mark.parametrize(
    "spec",
    [
        "CosineAnnealingLR(T_max=100)",
        "CosineAnnealingLR(T_max=99)",
        "SequentialLR([LinearLR, CosineAnnealingLR(95)], milestones=[5])",
        "OneCycleLR(max_lr=0.1, epochs=100, steps_per_epoch=10)",
        "CosineAnnealingWarmRestarts(50)",
        "CosineAnnealingWarmRestarts(20, 2, update=step)",
    ],
)
def test_what_fits_is_left_alone(spec: str) -> None:
    steps = 1000 if "step)" not in spec else 20 * (1 + 2 + 4)
    assert check(parse(spec), LR, steps, 10) == []


@pytest.mark.parametrize(
    "arguments",
    [
        "patience=2",
        "factor=0.5, patience=1, cooldown=2",
        "mode='max', patience=1, threshold=0.01, threshold_mode='abs'",
        "patience=0, min_lr=0.02, eps=0.001",
        "mode='max', factor=0.3, patience=1, threshold=0.05",
    ],
)
def test_plateau_decides_as_torch_does(arguments: str) -> None:
    """Also with a metric that is not a number, which never improves."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = executed(f"ReduceLROnPlateau({arguments})", optimizer)
    schedule = parse(f"torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, {arguments})")
    bound = schedule.bind(LR, 40 * 7, 7)
    noise = torch.Generator().manual_seed(5)
    values = (torch.rand(40, generator=noise) + torch.linspace(1, 0.3, 40)).tolist()
    values[7] = math.nan
    for epoch, value in enumerate(values):
        assert bound.lr(epoch * 7) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        scheduler.step(value)
        bound.observe({str(schedule.metric): value}, epoch)
    assert bound.lr(40 * 7) < LR


def test_the_cut_comes_after_more_than_patience_bad_epochs() -> None:
    """0.3 at epoch 5, 0.29 from 6 to 12: with patience 5 epoch 6 still improves, 7 to 12 do not,
    and the cut follows epoch 12 (counted from 1)."""
    losses = [0.5, 0.45, 0.4, 0.35, 0.3, *[0.29] * 7]
    bound = parse("ReduceLROnPlateau(patience=5)").bind(LR, 20, 1)
    cuts = [bound.observe({"val_loss": loss}, epoch) for epoch, loss in enumerate(losses)]
    assert [cut is not None for cut in cuts] == [False] * 11 + [True]
