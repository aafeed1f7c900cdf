"""The whole registry: every name works bare, prints, is pure, and stays finite."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lrbench.errors import UsageError
from lrbench.schedules import SCHEDULES, catalogue, check, parse
from tests.schedules.test_curves import FORMULAS

BARE = [entry.name for entry in catalogue() if not any(p.required for p in entry.make.params)]
OWN = {entry.name for entry in SCHEDULES if not entry.make.of_torch}
VARIANTS = [
    *FORMULAS, "step(3ep, gamma=0.5)", "polynomial(power=1.2, to=1%)", "cosine(min=5%, power=1.5)",
    "sgdr(2ep, mult=1.5, decay=0.8, min=1%)", "triangular2(1ep, min=0)",
    "exp_range(7it, gamma=0.99)", "onecycle(peak_at=99%, anneal=linear)", "cosine(update=epoch)",
    "wsd(warmup=60%, decay=60%)", "wsd(shape=sqrt, to=1%)", "wsd(shape=exp, stable_power=0.5)",
    "wsd(shape=power, power=3, to=1%)", "knee(100%)", "noam(warmup=1it)",
    "slanted_triangular(cut=100%)", "3*(warmup(1it, from=0) + linear(duration=20%))",
    "warmup(200%) + cosine", 'expr("1/(1+epoch)")', "plateau(patience=0)", "polynomial(k=2)",
    "multistep([20%, 60%], gamma=[0.5, 0.1])", "warmup(20%, from=0) + tanh(clock=run)",
    "constant(50%) * step(duration=60%) + warmup(1it) * linear(update=epoch)",
]  # fmt: skip
RUNS = [(1, 1), (2, 1), (7, 7), (10, 1), (105, 7), (1000, 100), (5, 10)]


def test_each_entry_says_what_it_is_family_by_family() -> None:
    assert set(BARE) >= OWN and [str(parse(name)) for name in BARE] == BARE
    families = [entry.facts["family"] for entry in catalogue()]
    assert list(dict.fromkeys(families)) == ["ordered", "cyclic", "warmup", "adaptive", "custom"]
    assert families == sorted(families, key=list(dict.fromkeys(families)).index)
    assert all(entry.summary and entry.facts["formula"] for entry in catalogue())


def test_the_documentation_names_each_with_its_parameters() -> None:
    page = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")
    table = page.split("## The catalogue")[1].split("## ")[0]
    rows = {line.split("`")[1]: line for line in table.splitlines() if line.startswith("| `")}
    assert set(rows) == OWN
    for name in OWN:
        for param in SCHEDULES.get(name).make.params:
            assert param.name in rows[name] or name == "expr", (name, param.name)


@pytest.mark.parametrize("spec", BARE + VARIANTS)
def test_any_step_may_be_asked_and_is_finite_far_beyond_the_edges(spec: str) -> None:
    for steps, steps_per_epoch in RUNS:
        schedule = parse(spec)
        assert parse(str(schedule)) == schedule
        table = schedule.table(lr=0.1, steps=steps, steps_per_epoch=steps_per_epoch)
        bound = schedule.bind(0.1, steps, steps_per_epoch)
        order = random.Random(steps).sample(range(steps), steps)
        assert {step: bound.lr(step) for step in order} == dict(enumerate(table))
        for step in (0, 1, steps - 1, steps, steps + 1, 1000 * steps, 10**9, 10**12):
            lr = bound.lr(step)
            assert type(lr) is float
            assert math.isfinite(lr) and 0 <= lr <= 0.1 * (1 + 1e-12), (steps, step, lr)
            momentum = bound.momentum(step)
            assert momentum is None or 0 <= momentum <= 1


@pytest.mark.parametrize("spec", BARE + VARIANTS)
def test_scales_with_the_base_lr(spec: str) -> None:
    """Relative schedules are multiples of the base LR; none changes what another sees."""
    one = parse(spec).table(lr=1.0, steps=70, steps_per_epoch=7)
    tenth = parse(spec).table(lr=0.1, steps=70, steps_per_epoch=7)
    assert tenth == pytest.approx([lr / 10 for lr in one], rel=1e-9, abs=1e-18)
    assert parse(spec).table(lr=1.0, steps=70, steps_per_epoch=7) == one


@pytest.mark.parametrize("name", sorted(OWN - {"plateau", "greedy"}))
def test_bare_names_need_no_warning(name: str) -> None:
    for steps, steps_per_epoch in [(3000, 100), (70, 7), (1, 1)]:
        assert check(parse(name), 0.1, steps, steps_per_epoch) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ('expr("1 - 2*progress")', r"negative \(-0\.002\) at step 51 \(epoch 5\.1\)"),
        ('expr("1/abs(step-30)")', r"not a number .* at step 30 "),
        ("exponential(gamma=1e300)", r"infinite .* at step \d+ "),
        ('expr("sqrt(50-step)")', r"not a number .* at step 51 "),
    ],
)
def test_a_curve_that_no_training_can_use_is_refused(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        check(parse(spec), 0.1, 100, 10)
    assert "\n" not in str(caught.value)


LIGHT = """
import json, sys, time
start = time.process_time()
from lrbench.schedules import catalogue, check, code, parse
parse("warmup(5%) + cosine").table(lr=0.1, steps=1000, steps_per_epoch=100)
check(parse("step(30)"), 0.1, 1000, 100)
catalogue()
code("warmup(5%) + rex", 0.1, 1000, 100)
code("plateau", 0.1, 1000, 100)
named = parse("SequentialLR([StepLR(3), LambdaLR(lr_lambda=lambda e: 1)], milestones=[5])")
assert parse(str(named)) == named
heavy = [name for name in ("torch", "numpy", "pydantic", "rich", "typer", "pandas")
         if name in sys.modules]
print(json.dumps([heavy, time.process_time() - start]))
"""


def test_schedules_answer_at_once_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, timeout=60
    )
    heavy, cpu_s = json.loads(done.stdout)
    assert heavy == [] and cpu_s < 0.5


def test_the_peak_of_noam_is_not_the_base_lr() -> None:
    assert parse("noam(d=64, warmup=100it)").peak(1000, 100) == pytest.approx(1 / 80)
    assert parse("noam").peak(1000, 100) == pytest.approx(1 / math.sqrt(512 * 50))
    for spec in ("cosine", "warmup + cosine", "onecycle", "inverse_sqrt", "tanh", "plateau"):
        assert parse(spec).peak(1000, 100) == 1.0
