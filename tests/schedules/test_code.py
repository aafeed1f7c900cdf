"""The code that is printed is executed, with real optimizers, and compared at every step."""

import ast
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import Adagrad, Optimizer

from lrbench.schedules import catalogue, code, parse
from lrbench.schedules.code import NO_SCHEDULER, PER_EPOCH, PER_STEP
from tests.schedules.makers import adamw, sgd
from tests.schedules.test_torch_names import ALONE, NESTED

LR, OWN_MOMENTUM = 0.1, 0.5  # the second is that of `sgd` and `adamw`
ENTRIES = [entry.facts.get("example", entry.name) for entry in catalogue()]
OWN = [
    "constant(30%, at=1e-3) + constant", "warmup(20%, shape=exp) * cosine",
    "warmup(2ep) * StepLR(2)", "constant(2ep) + warmup(3it) * step(9it, duration=20it)",
    "warmup(1ep, from=0) + cosine(clock=run)", "warmup(1ep, from=0) + StepLR(2, clock=run)",
    "warmup(0%) + wsd(shape=exp, stable_power=0.5)", "multistep([2ep, 4ep], gamma=[0.5, 0.1])",
    "step(25%, update=epoch)",
    'multiplicative("0.9 if progress < 0.5 else 1 - step/steps/9 + epochs*0")',
    "polynomial(power=2, to=1%)", "cosine(min=5%, power=1.5)", "cosine(duration=50%)",
    "sgdr(5it, mult=1.5, decay=0.8, min=1%)", "sgdr(1ep, update=epoch)", "warmup(20%) + cosine",
    "warmup(20%, from=10%, shape=constant) + step",
    "warmup(20%, from=1e-3, shape=exp_normalised) + linear",
    "warmup(1ep, update=epoch) + cosine(update=epoch)", "sin(5it, min=0)",
    "triangular(7it, duration=20it) + triangular",
    "onecycle(peak_at=45%, div=10, final_div=100, anneal=linear)", "onecycle(peak_at=100%)",
    "onecycle(cycle_momentum=False)", "onecycle(base_momentum=0.8, max_momentum=0.9, update=epoch)",
    "warmup(5it) + onecycle", "wsd(warmup=10it, decay=50%, shape=cosine, to=1%)",
    "onecycle(duration=50%)", "OneCycleLR(max_lr=0.4, total_steps=20)",
    "warmup(3it) + SequentialLR([ConstantLR(0.5, 9), ExponentialLR(0.9)], milestones=[2])",
    "CosineAnnealingLR(T_max=4, update=step, duration=10it)",
    "12*(linear(duration=1it)) + step(5it)",
    'expr("cos(pi*progress/2) if epoch < 3 else max(0.1, 1 - sqrt(step/steps))")',
    'expr("max(0.5, progress) * min(1, 2**-epoch) + 0.5 + 0*epochs", update=epoch)',
    "2*(linear(duration=1ep) + constant(1ep, at=10%)) + 2*(cosine(duration=10%)) + rex",
    "warmup(20%) + CosineAnnealingLR(T_max=3)",
    "warmup(7it) + CosineAnnealingLR(T_max=30, update=step, eta_min=1e-3)",
    'MultiplicativeLR("0.9", duration=4ep) + CosineAnnealingWarmRestarts(1, 2, eta_min=1e-3)',
    'LambdaLR("0.9**epoch + 0*steps", duration=3ep) + ConstantLR(0.2, 1)',
    "ExponentialLR(0.7, duration=2ep, update=step) + CyclicLR(0.01, 0.1, 4, mode=triangular2)",
    "constant(5it) + OneCycleLR(max_lr=0.4, epochs=2, steps_per_epoch=8, three_phase=True)",
]  # fmt: skip


def executed(text: str, optimizer: Optimizer) -> dict[str, Any]:
    names: dict[str, Any] = {"optimizer": optimizer}
    exec(compile(text, "pasted", "exec"), names)
    return names


def momentum_of(group: dict[str, Any]) -> float:
    return float(group["betas"][0] if "betas" in group else group["momentum"])


def assert_equal(spec: str, steps: int, steps_per_epoch: int) -> None:
    """LRs to 1e-9 (torch's recurrences round on their way), momenta where they are moved."""
    schedule = parse(spec)
    lr = schedule.fixed_lr or LR
    text = code(schedule, LR, steps, steps_per_epoch)
    size = steps_per_epoch if PER_EPOCH in text else 1
    assert [line in text for line in (PER_STEP, PER_EPOCH, NO_SCHEDULER)].count(True) == 1
    bound = schedule.bind(lr, steps, steps_per_epoch)
    for optimizer in (sgd(0.7), adamw(0.9, 0.3)):  # of several kinds and groups, LRs of their own
        scheduler = executed(text, optimizer).get("scheduler")
        moved = False
        for step in range(steps):
            moved = moved or bound.momentum(step) is not None
            for group in optimizer.param_groups:
                wanted = pytest.approx(bound.lr(step), rel=1e-9, abs=1e-15)
                assert float(group["lr"]) == wanted, (step, text)
                momentum = bound.momentum(step) if moved else OWN_MOMENTUM
                if momentum is not None:
                    assert momentum_of(group) == pytest.approx(momentum, rel=1e-9), (step, text)
            optimizer.step()
            if scheduler is not None and (step + 1) % size == 0:
                scheduler.step()


@pytest.mark.parametrize("spec", [spec for spec in ENTRIES if not parse(spec).adaptive] + OWN)
@pytest.mark.parametrize(("steps", "steps_per_epoch"), [(42, 7), (40, 8)])
def test_the_code_does_what_the_schedule_does(spec: str, steps: int, steps_per_epoch: int) -> None:
    if "steps_per_epoch=8" in spec and steps_per_epoch != 8:
        return
    assert_equal(spec, steps, steps_per_epoch)


@pytest.mark.parametrize("spec", [*ALONE, *NESTED])
def test_torch_names_come_out_as_they_went_in(spec: str) -> None:
    assert_equal(spec, 50, 1)
    text = code(parse(spec), LR, 50, 1)
    assert spec.split("(")[0] in text
    assert "def " not in text


def test_numbers_are_tidy_and_constant_needs_no_scheduler() -> None:
    assert "0.30000000000000004" not in code("onecycle(max_momentum=0.9)", LR, 1000, 100)
    for spec in ("linear(to=30%)", "warmup(2ep, from=30%) + linear", "constant(2ep, at=30%) + rex"):
        for lr in (0.1, 0.2, 0.7, 0.9):
            assert not re.search("00000|99999", code(spec, lr, 300, 100))
    for spec, lr in (("constant", 0.1), ("constant(at=10%)", 0.01)):
        text = code(spec, LR, 1000, 100)
        assert NO_SCHEDULER in text and "import" not in text
        optimizer = sgd(0.7)
        executed(text, optimizer)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr)


@pytest.mark.parametrize("spec", [one for one in [*ENTRIES, *OWN] if one != "greedy"])
def test_there_is_nothing_but_torch_in_it_and_no_table(spec: str) -> None:
    text = code(parse(spec), LR, 2_000, 200)
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported <= {"math", "itertools", "warnings", "torch", "torch.optim.lr_scheduler"}
    assert len(text) < 4000


@pytest.mark.parametrize(
    ("spec", "classes", "usage"),
    [
        ("step(30ep)", "StepLR", PER_EPOCH), ("step(250it)", "StepLR", PER_STEP),
        ("step", "MultiStepLR", PER_STEP), ("multistep([30ep, 70ep])", "MultiStepLR", PER_EPOCH),
        ("exponential(gamma=0.9, update=epoch)", "ExponentialLR", PER_EPOCH),
        ("exponential", "ExponentialLR", PER_STEP),
        ("polynomial(power=2)", "PolynomialLR", PER_STEP), ("linear", "LinearLR", PER_STEP),
        ("cosine", "CosineAnnealingLR", PER_STEP),
        ("cosine(update=epoch)", "CosineAnnealingLR", PER_EPOCH),
        ("sgdr(10ep, mult=2)", "CosineAnnealingWarmRestarts", PER_STEP),
        ("triangular", "CyclicLR", PER_STEP), ("triangular2", "CyclicLR", PER_STEP),
        ("exp_range", "CyclicLR", PER_STEP), ("onecycle", "OneCycleLR", PER_STEP),
        ("warmup + cosine", "CosineAnnealingLR, LinearLR, SequentialLR", PER_STEP),
        ("wsd", "ConstantLR, LinearLR, SequentialLR", PER_STEP),
        ("knee", "ConstantLR, LinearLR, SequentialLR", PER_STEP),
        ("CosineAnnealingLR(T_max=50)", "CosineAnnealingLR", PER_EPOCH),
        ("rex", "LambdaLR", PER_STEP), ("warmup(5%, from=0) + cosine", "LambdaLR", PER_STEP),
    ],
)  # fmt: skip
def test_torch_has_its_own_class_for_it(spec: str, classes: str, usage: str) -> None:
    text = code(parse(spec), LR, 10_000, 100)
    assert f"import {classes}\n" in text
    assert usage in text


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("plateau(patience=1, factor=0.5)", "scheduler.step(val_loss)"),
        ("plateau(val_accuracy, patience=0, min=1%)", "scheduler.step(val_accuracy)"),
        ("ReduceLROnPlateau(mode=max, patience=1, cooldown=1)", "scheduler.step(val_accuracy)"),
        ("warmup(3it) + plateau(patience=1)", "first 3 batches"),
        ("warmup(20it, from=0) + plateau(patience=1)", "from epoch 3 on"),
    ],
)
def test_plateau_with_its_metric(spec: str, words: str) -> None:
    values = [0.5, 0.6, 0.7, 0.7, 0.7, 0.6, 0.6, 0.75, 0.7, 0.7, 0.7, 0.7]
    schedule, size = parse(spec), 7
    text = code(schedule, LR, 84, size)
    assert words in text
    bound = schedule.bind(LR, 84, size)
    optimizer = adamw(0.9, 0.3)
    names = executed(text, optimizer)
    start = {"first 3 batches": 3, "from epoch 3 on": 20}.get(words, 0)
    for epoch, value in enumerate(values):
        for step in range(epoch * size, (epoch + 1) * size):
            assert optimizer.param_groups[0]["lr"] == pytest.approx(bound.lr(step), rel=1e-9)
            optimizer.step()
            if step < start:
                names["warmup_scheduler"].step()
        if epoch >= start // size:
            names["scheduler"].step(value)
        bound.observe({str(schedule.metric): value}, epoch)
    assert bound.lr(84) < LR / 2


@pytest.mark.parametrize("spec", ["cosine", "triangular", "warmup + cosine", "rex", "onecycle"])
def test_an_earlier_scheduler_leaves_no_trace(spec: str) -> None:
    """torch takes the base LR from `initial_lr` where there is one."""
    optimizer = sgd(0.7)
    torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    executed(code(parse(spec), LR, 42, 7), optimizer)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(parse(spec).bind(LR, 42, 7).lr(0))


def test_momentum_is_left_where_there_is_none() -> None:
    """torch's own class would refuse such an optimizer."""
    for spec in ("onecycle", "CyclicLR", "warmup(5it) + onecycle"):
        optimizer = Adagrad([torch.nn.Parameter(torch.zeros(1))], lr=0.7)
        scheduler = executed(code(parse(spec), LR, 42, 7), optimizer)["scheduler"]
        optimizer.step()
        scheduler.step()
        bound = parse(spec).bind(LR, 42, 7)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(bound.lr(1))


PLUGIN = """
from torch.optim.lr_scheduler import StepLR

class Mine:
    @staticmethod
    def wave(step, steps, steps_per_epoch, name="", height=1.0):
        return height * (1 - step / steps) + 0 * len(name)

def by_place(t, total, per_epoch):
    return 1 - t / total

def factory(optimizer, size=2):
    return StepLR(optimizer, size)
"""


@pytest.mark.parametrize(
    "spec",
    ["Mine.wave(height=0.5, name='a b')", "Mine.wave(update=epoch)", "by_place(duration=3ep)",
     "factory(size=3)", "factory(size=9, update=step)", "warmup(3it) + code_math:by_place"],
)  # fmt: skip
def test_plug_ins_are_imported(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code_math.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    spec = spec if ":" in spec else f"code_math:{spec}"
    assert_equal(spec, 42, 7)
    text = code(parse(spec), LR, 42, 7)
    assert "import code_math\n" in text and "import math\n" not in text
    sys.modules.pop("code_math")


def test_a_text_with_line_ends_cannot_leave_its_comment() -> None:
    text = code("expr('(1\r+ 0)')", LR, 10, 10)
    assert "\r" not in text
    ast.parse(text)


def test_greedy_is_the_class_of_transformers() -> None:
    text = code("greedy(patience=3)", LR, 100, 10)
    assert "from transformers.optimization import GreedyLR\n" in text
    assert "scheduler = GreedyLR(\n" in text and "patience=3,\n" in text and "smooth=False" in text


def test_the_curve_itself_is_printed_with_the_numbers_of_the_run() -> None:
    text = code("rex", LR, 1234, 100)
    assert "def rex(t, T, b, *, min_):" in text and "rex(t, T=1234, b=1.0, min_=0.0)" in text
    factor = executed(text, sgd(0.7))["factor"]
    assert factor(617) == pytest.approx(0.5 / 0.75)
    assert math.isclose(factor(10**6), 0.0)


def test_branches_that_the_arguments_rule_out_are_not_printed() -> None:
    text = code("warmup(5it, from=0) + sin", LR, 70, 7)
    assert "def wave(t, T, b, *, min_):" in text and "gamma" not in text and "shape" not in text
    spec = "warmup(5it, from=0) + warmup(9it, shape=exp) + sin(duration=20it) + sin2(5it)"
    two = code(spec, LR, 70, 7)
    assert all(f"def {name}(" in two for name in ("warmup", "warmup_2", "wave", "wave_2"))
