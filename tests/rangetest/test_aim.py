"""Aiming at a run: torch's schedulers as the reference, and problems whose best LR is known."""

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.errors import UsageError
from lrbench.options import FindSpec
from lrbench.rangetest.aim import TRIED, Aim
from lrbench.rangetest.find import range_test
from lrbench.rangetest.result import FindResult
from tests.rangetest.handed import left_alone, loader, quick, trained
from tests.rangetest.problems import Quadratic, Task, sgd, train


def noisy(scale: float = 0.1) -> Task:
    """A quadratic whose gradients have noise, so that decay pays."""

    def loss(model: Any, step: int) -> Any:
        if step >= 1_000_000:  # batches that judge
            return model()
        generator = torch.Generator().manual_seed(step)
        noise = torch.randn(model.x.shape, generator=generator, dtype=torch.float64)
        return model() + scale * (noise * model.x).sum()

    return Task(lambda: Quadratic([1.0, 0.1]), loss_of=loss)


def aimed(schedule: str, steps: int, task: Any = None, **fields: Any) -> FindResult:
    spec = FindSpec(schedule=schedule, steps=steps, start_lr=1e-3, seeds=(0,), max_stable=False)
    *_, found = range_test(sgd(task or noisy(), spec.model_copy(update=fields)))
    assert isinstance(found, FindResult) and found.aim is not None
    return found


def trained_by_torch(task: Task, optimizer: Any, model: Any, scheduler: Any, steps: int) -> Any:
    """The losses of a plain loop, and that of the model at its end."""
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = task.loss(model, step)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        scheduler.step()
    return losses, model().item()


def test_a_short_run_is_trained_as_it_is_its_momentum_included() -> None:
    task, steps = noisy(), 40
    aim = Aim.of(FindSpec(schedule="OneCycleLR", steps=steps), task)
    assert aim is not None and len(aim.paces) == steps
    setup = sgd(task, momentum=0.9)
    ours, *_ = train(setup, kind="short", lrs=[0.2], steps=steps, paces=aim.paces)
    model = task.model(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps)
    theirs, _ = trained_by_torch(task, optimizer, model, scheduler, steps)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_the_answer_is_near_the_best_of_the_run_itself() -> None:
    found, task = aimed("linear", 60), noisy()
    assert found.lr is not None and found.aim is not None and found.aim["horizon"] == 1.0

    def end(lr: float) -> float:
        model = task.model(0)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=60)
        return trained_by_torch(task, optimizer, model, scheduler, 60)[1]

    assert end(found.lr) < 1.15 * min(end(lr) for lr in np.logspace(-2, 0.3, 24))


def test_a_long_run_bears_less_than_the_trainings_that_stand_for_it() -> None:
    long = aimed("linear", 9 * TRIED)
    assert long.aim is not None and long.verification is not None
    assert long.lr == pytest.approx(long.verification["lr"] / 3)
    assert long.aim["equally_good"][0] == pytest.approx(long.verification["equally_good"][0] / 3)
    assert "9 times as many steps" in long.aim["because"] and long.grade == "ok"
    assert long.aim["factor"] == pytest.approx(2.9, abs=0.1)


def test_the_base_lr_is_the_answer_and_the_highest_is_named() -> None:
    one, three = aimed("linear", 64), aimed('expr("3 * (1 - progress)")', 64)
    assert one.lr is not None and three.aim is not None
    assert three.lr == pytest.approx(one.lr / 3, rel=0.05)
    assert three.aim["highest_lr"] == pytest.approx(one.lr, rel=0.05)


@pytest.mark.parametrize("schedule", [None, "linear", 'expr("0.2 * (1 - progress)")'])
def test_an_lr_that_could_always_be_higher_is_weak_and_within_the_range(
    schedule: str | None,
) -> None:
    def separable(model: Any, step: int) -> Any:
        return torch.nn.functional.softplus(-model.x).sum()

    spec = FindSpec(schedule=schedule, steps=40, start_lr=1e-3, end_lr=200.0, seeds=(0,))
    task = Task(lambda: Quadratic([1.0, 1.0]), loss_of=separable)
    *_, found = range_test(sgd(task, spec))
    assert isinstance(found, FindResult) and found.lr is not None
    highest = found.lr * (found.aim["peak"] if found.aim else 1.0)
    assert 100 < highest <= 200 and found.grade == "weak"
    assert any("the highest LR that was tried is the best" in why for why in found.reasons)


def test_a_peak_above_the_largest_stable_lr_is_weak() -> None:
    """At first ten times as high: all that grew then is gone after one step at 1/h."""
    high_first = 'expr("10 if progress < 0.05 else 1")'
    found = aimed(high_first, 64, Task(lambda: Quadratic([1.0, 0.95])), max_stable=True)
    assert found.lr is not None and found.max_stable_lr == pytest.approx(2, rel=0.1)
    assert found.lr < 2 < 10 * found.lr and found.grade == "weak"
    assert any("above the largest stable one" in why for why in found.reasons)


def test_a_run_of_one_step_has_an_answer() -> None:
    with warnings.catch_warnings(action="error"):
        assert aimed("linear", 1).lr


def test_without_trainings_the_answer_is_the_rule_s_and_weak() -> None:
    found = aimed("linear", 25 * TRIED, verify=False)
    assert found.lr is not None and found.lr_sweep is not None and found.grade == "weak"
    assert found.lr == pytest.approx(found.lr_sweep * 3 * math.sqrt(64 / 25 / TRIED))
    assert [reason.partition(":")[0] for reason in found.reasons] == ["untried", "far"]
    assert FindResult.from_dict(json.loads(found.to_json())) == found


def test_python_takes_epochs_or_steps_and_leaves_everything_as_it_was() -> None:
    model, optimizer = trained()
    with left_alone(model, optimizer):
        answer = quick(model, loader(), optimizer, schedule="onecycle", epochs=4)
    assert answer.aim is not None and (answer.aim["epochs"], answer.aim["steps"]) == (4, 24)


def test_a_schedule_below_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="step"):
        Aim.of(FindSpec(schedule='expr("0.5 - progress")', steps=20), noisy())
