"""torch's names against torch's classes: the spec is executed as the code that it is."""

# ruff: noqa: E501  (a spec a line)
import random
import warnings
from functools import partial
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from lrbench.errors import UsageError
from lrbench.schedules import catalogue, parse
from tests.schedules.makers import sgd

LR = 0.1
CLASSES = [name for name in lr_scheduler.__all__ if name != "LRScheduler"]
COUNTS = 50

# Each is both a spec and Python code.
ALONE = [
    "ConstantLR(factor=1/4, total_iters=3*3)",
    "LinearLR(start_factor=1.0, end_factor=0.0, total_iters=25)", "StepLR(7, 0.5)",
    "MultiStepLR((3, 4, 4, 20), gamma=0.3)", "MultiStepLR(milestones=[20, 5, 0], gamma=0.1)",
    "ExponentialLR(gamma=0.95)", "PolynomialLR(25, 0.9)",
    "CosineAnnealingLR(T_max=10, eta_min=0.001)", "CosineAnnealingLR(T_max=1)",
    "CosineAnnealingLR(T_max=12.5)", "CosineAnnealingWarmRestarts(T_0=3, T_mult=2, eta_min=0.01)",
    "CyclicLR(base_lr=0.001, max_lr=0.1, step_size_up=5)",
    'CyclicLR(base_lr=0, max_lr=0.3, step_size_up=5, step_size_down=9, mode="triangular2")',
    'CyclicLR(0.01, 0.1, 4, mode="exp_range", gamma=0.97, base_momentum=0.7, max_momentum=0.99)',
    "OneCycleLR(max_lr=0.4, total_steps=50)",
    "OneCycleLR(max_lr=0.4, epochs=10, steps_per_epoch=5, pct_start=0.1, div_factor=10.0)",
    'OneCycleLR(0.4, 50, anneal_strategy="linear", three_phase=True, base_momentum=0.5)',
    'LambdaLR(lr_lambda="1 if epoch < 5 else max(0.1, 1 - (epoch - 5) / 40)")',
    'MultiplicativeLR(lr_lambda="1 - 1 / (epoch + 2)")',
]  # fmt: skip

NESTED = """
SequentialLR([LinearLR(start_factor=0.1, total_iters=5), CosineAnnealingLR(T_max=45)], milestones=[5])
SequentialLR([StepLR(3), CyclicLR(0.01, 0.1, 2, base_momentum=0.6), OneCycleLR(0.5, 50)], milestones=[5, 20])
SequentialLR([LinearLR(0.1, total_iters=5), StepLR(2, 0.5)], milestones=[0])
ChainedScheduler([StepLR(9), SequentialLR([ConstantLR(0.1, 9), MultiplicativeLR("0.9")], milestones=[3])])
ChainedScheduler([ChainedScheduler([LinearLR(0.1, total_iters=3), StepLR(4)]), CosineAnnealingLR(55)])
""".strip().splitlines()


def lambda_of(text: str) -> Any:
    return lambda epoch: eval(text, {"max": max, "epoch": epoch})


def executed(spec: str, optimizer: torch.optim.Optimizer) -> Any:
    """The scheduler that the text makes when it is run as code."""
    names: Any = {name: partial(getattr(lr_scheduler, name), optimizer) for name in CLASSES}
    names["ChainedScheduler"] = lr_scheduler.ChainedScheduler
    for name in ("LambdaLR", "MultiplicativeLR"):
        make = names[name]
        names[name] = lambda lr_lambda, make=make: make(lr_lambda=lambda_of(lr_lambda))
    return eval(spec, names)


def torch_trace(spec: str, counts: int = COUNTS) -> list[tuple[float, float]]:
    """LR and momentum at each count."""
    optimizer = sgd(LR)
    group, trace = optimizer.param_groups[0], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own order of steps
        scheduler = executed(spec, optimizer)
        for _ in range(counts - 1):
            trace.append((group["lr"], group["momentum"]))
            scheduler.step()
    return [*trace, (group["lr"], group["momentum"])]


def updated(spec: str, update: str) -> Any:
    """The schedule of a spec that ends in ')', with one argument more."""
    return parse(f"{spec[:-1]}, update={update})".replace("(, ", "("))


@pytest.mark.parametrize("spec", [*ALONE, *NESTED])
@pytest.mark.parametrize(("update", "size"), [("epoch", 1), ("epoch", 7), ("step", 1)])
def test_equals_torch_bit_for_bit_in_any_order(spec: str, update: str, size: int) -> None:
    schedule, trace = updated(spec, update), torch_trace(spec)
    assert parse(str(schedule)) == schedule
    bound = schedule.bind(LR, COUNTS * size, 7 if update == "step" else size)
    for count in reversed(range(COUNTS)):
        lr, momentum = trace[count]
        for step in {count * size, (count + 1) * size - 1}:
            own = bound.momentum(step)
            assert (bound.lr(step), 0.5 if own is None else own) == (lr, momentum), (count, step)


@pytest.mark.parametrize("spec", [one for one in ALONE if "OneCycle" not in one])
def test_is_torch_also_past_the_end(spec: str) -> None:
    bound = updated(spec, "step").bind(LR, 10, 10)
    assert [bound.lr(step) for step in range(COUNTS)] == [lr for lr, _ in torch_trace(spec)]
    assert bound.lr(10**9) >= 0


def nest(draw: random.Random, depth: int = 2) -> str:
    """A random spec of torch's classes, as its own code."""
    kinds = [
        lambda: f"ConstantLR(factor={draw.random()!r}, total_iters={draw.randint(1, 40)})",
        lambda: f"LinearLR({draw.uniform(0.01, 1)!r}, {draw.random()!r}, {draw.randint(1, 40)})",
        lambda: f"StepLR({draw.randint(1, 20)}, gamma={draw.random()!r})",
        lambda: f"MultiStepLR({sorted(draw.choices(range(50), k=3))}, gamma={draw.random()!r})",
        lambda: f"ExponentialLR({draw.uniform(0.5, 1.01)!r})",
        lambda: f"PolynomialLR({draw.randint(1, 60)}, {draw.uniform(0.5, 3)!r})",
        lambda: f"CosineAnnealingLR({draw.randint(1, 60)}, {draw.random() / 20!r})",
        lambda: f"CosineAnnealingWarmRestarts({draw.randint(1, 9)}, {draw.randint(1, 3)})",
        lambda: f"CyclicLR(0.01, {draw.uniform(0.02, 1)!r}, {draw.randint(1, 9)})",
        lambda: f"OneCycleLR({draw.uniform(0.1, 1)!r}, total_steps={draw.randint(60, 90)})",
        lambda: f'LambdaLR(lr_lambda="{draw.random()!r}**epoch")',
        lambda: f'MultiplicativeLR(lr_lambda="1 - {draw.random()!r} / (epoch + 1)")',
    ]
    if depth == 0 or draw.random() < 0.3:
        return draw.choice(kinds)()
    if draw.random() < 0.5:
        inner = ", ".join(nest(draw, depth - 1) for _ in range(draw.randint(1, 3)))
        return f"ChainedScheduler([{inner}])"
    count = draw.randint(1, 3)
    leaves = ", ".join(draw.choice(kinds)() for _ in range(count))
    return f"SequentialLR([{leaves}], milestones={sorted(draw.choices(range(1, 45), k=count - 1))})"


@pytest.mark.parametrize(
    "seeds", [range(300), pytest.param(range(300, 2300), marks=pytest.mark.long)]
)
def test_random_nests_equal_torch(seeds: range) -> None:
    for seed in seeds:
        spec = nest(random.Random(seed))
        schedule, trace = updated(spec, "step"), torch_trace(spec)
        assert parse(str(schedule)) == schedule
        bound = schedule.bind(LR, COUNTS, 10)
        assert [bound.lr(step) for step in range(COUNTS)] == [lr for lr, _ in trace], spec
        momenta = [bound.momentum(step) for step in range(COUNTS)]
        assert [0.5 if one is None else one for one in momenta] == [m for _, m in trace], spec


def test_one_cycle_holds_its_end_where_torch_raises() -> None:
    one = parse("OneCycleLR(max_lr=1.0, total_steps=10)").bind(1.0, 100, 1)
    assert one.lr(9) == one.lr(10) == one.lr(99) == pytest.approx(4e-6)
    held = parse("OneCycleLR(max_lr=1.0, total_steps=10, duration=20it)").bind(1.0, 100, 1)
    assert held.lr(99) == one.lr(9)
    inner = "SequentialLR([ConstantLR(1, 1), OneCycleLR(1.0, total_steps=10)], milestones=[3])"
    later = parse(inner).bind(1.0, 100, 1)
    assert later.lr(12) == one.lr(9) and later.lr(13) == later.lr(14) == later.lr(99)


@pytest.mark.parametrize(
    ("pasted", "canonical"),
    [
        ("torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.5)", "StepLR(step_size=30, gamma=0.5)"),
        ("lr_scheduler.StepLR(opt, 30, 0.5, last_epoch=-1)", "StepLR(step_size=30, gamma=0.5)"),
        ("ConstantLR(optimizer, factor=1/3, total_iters=4*5)", "ConstantLR(total_iters=20)"),
        ("LinearLR(optimizer, start_factor=(1 - 0.5)/2)", "LinearLR(start_factor=0.25)"),
        ("LambdaLR(optimizer, lr_lambda=lambda epoch: 0.95 ** epoch)", 'LambdaLR(lr_lambda="0.95 ** epoch")'),
        ("LambdaLR(optimizer, lr_lambda='lambda e: max(0.1, 1 - e / 50)')", 'LambdaLR(lr_lambda="max(0.1, 1 - epoch / 50)")'),
        ("MultiplicativeLR(optimizer, lr_lambda=lambda t: 0.9 if t < 3 else (1 - 1/t), last_epoch=-1)",
         'MultiplicativeLR(lr_lambda="0.9 if epoch < 3 else (1 - 1/epoch)")'),
        ("ChainedScheduler([StepLR(optimizer, 3)], optimizer=optimizer)", "ChainedScheduler(schedulers=[StepLR(step_size=3)])"),
        ("torch.optim.lr_scheduler.SequentialLR(\n  optimizer,\n  schedulers=[\n    LinearLR(optimizer, start_factor=0.1, total_iters=5),\n    CosineAnnealingLR(optimizer, T_max=95),\n  ],\n  milestones=[5],\n)",
         "SequentialLR(schedulers=[LinearLR(start_factor=0.1), CosineAnnealingLR(T_max=95)], milestones=[5])"),
        ("scheduler = StepLR(optimizer, 30, 0.5, -1)", "StepLR(step_size=30, gamma=0.5)"),
        ("LambdaLR(optimizer, lambda epoch: pow(0.9, epoch))", 'LambdaLR(lr_lambda="pow(0.9, epoch)")'),
        ("LambdaLR(optimizer, lr_lambda=[lambda e: math.cos(math.pi * e / 90)])", 'LambdaLR(lr_lambda="cos(pi * epoch / 90)")'),
        ("OneCycleLR(optimizer, max_lr=[0.1], total_steps=90)", "OneCycleLR(max_lr=0.1, total_steps=90)"),
        ("ReduceLROnPlateau(optimizer, 'max', factor=0.5, verbose=True)", "ReduceLROnPlateau(mode=max, factor=0.5)"),
    ],
)  # fmt: skip
def test_is_pasted_as_it_stands_in_code(pasted: str, canonical: str) -> None:
    assert str(parse(pasted)) == canonical
    assert parse(canonical) == parse(pasted)


def test_every_class_of_torch_has_its_name_and_is_stepped_as_its_users_do() -> None:
    known = {entry.name: entry.make for entry in catalogue()}
    for name in CLASSES:
        per_step = name in ("OneCycleLR", "CyclicLR", "ReduceLROnPlateau")
        assert known[name].update == ("step" if per_step else "epoch"), name


def test_an_lr_in_the_arguments_is_fixed() -> None:
    assert parse("OneCycleLR(max_lr=0.4, total_steps=50)").fixed_lr == 0.4
    assert parse("CyclicLR(base_lr=0.01, max_lr=0.2)").fixed_lr == 0.2
    assert parse("SequentialLR([ConstantLR, OneCycleLR(0.3)], milestones=[3])").fixed_lr == 0.3
    assert parse("OneCycleLR").fixed_lr is None
    assert parse("CosineAnnealingLR(T_max=5)").fixed_lr is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("StepLR(step_size=0)", "step_size must be at least 1"),
        ("StepLR(step_size=30ep)", "step_size must be a plain number"),
        ("OneCycleLR(anneal_strategy=CATS)", "anneal_strategy cannot be 'CATS'"),
        ("OneCycleLR(pct_start=1.1)", "pct_start must be at least 0 and at most 1"),
        ("StepLR(30, last_epoch=5)", "last_epoch restores a state"),
        ("LinearLR(start_factor=0)", "torch refuses"),
        ("ConstantLR(factor=1.5)", "factor must be at least 0 and at most 1"),
        ("ConstantLR(factor=1/0)", "is not a number"),
        ("CosineAnnealingLR(T_max=0)", "T_max must be above 0"),
        ("CosineAnnealingWarmRestarts(10, T_mult=1.5)", "T_mult must be a whole number"),
        ("CyclicLR(0.1, 0.2, mode=square)", "mode cannot be 'square'"),
        ("OneCycleLR(max_lr=[0.1, 0.2])", "max_lr must be one value, not 2"),
        ("LambdaLR(lr_lambda=lambda epoch: open('x'))", "unknown function 'open'"),
        ("LambdaLR()", "needs lr_lambda"), ("MultiplicativeLR", "needs lr_lambda"),
        ("SequentialLR", "needs schedulers"),
        ("SequentialLR([cosine], milestones=[])", "takes torch's schedulers"),
        ("SequentialLR([ReduceLROnPlateau], milestones=[])", "schedulers except ReduceLROnPlateau"),
        ("SequentialLR([StepLR(update=step)], milestones=[])", "without update="),
        ("SequentialLR([StepLR, ChainedScheduler([StepLR])], milestones=[3])", "torch refuses"),
        ("ChainedScheduler([])", "torch refuses"),
        ("ChainedScheduler([StepLR + StepLR])", "needs a length"),
    ],
)  # fmt: skip
def test_an_invalid_spec_is_one_clear_line(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(spec).bind(LR, 100, 10)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
