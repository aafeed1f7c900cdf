import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.rangetest.curve import ending
from lrbench.rangetest.find import grid
from lrbench.rangetest.probe import Prober
from lrbench.rangetest.training import Judge, Setup, read, trained
from tests.rangetest.handed import bits
from tests.rangetest.problems import Quadratic, Task, sgd, train


def losses(setup: Setup, seed: int, lrs: Iterable[float]) -> list[float]:
    return list(read(loss for _, loss in trained(setup, seed, lrs)))


def swept(lrs: list[float], loss_of: Any = None, **fields: Any) -> list[Any]:
    return train(
        sgd(Task(lambda: Quadratic([1.0]), loss_of=loss_of)), kind="sweep", lrs=lrs, **fields
    )


def test_a_sweep_is_gradient_descent_along_the_ramp() -> None:
    """On x^2/2 each step multiplies x by 1 - lr; a loss is taken before its step."""
    lrs = grid(1e-3, 0.5, 20)
    x = np.cumprod([1.0, *(1 - np.array(lrs))])[:-1]
    assert swept(lrs) == pytest.approx(x**2 / 2)


def test_with_an_epoch_per_point_losses_are_means() -> None:
    lrs = grid(1e-3, 1e-1, 12)
    each = losses(sgd(Task(lambda: Quadratic([1.0]))), 0, np.repeat(lrs, 4))
    assert swept(lrs, steps=4) == pytest.approx(np.reshape(each, (12, 4)).mean(axis=1))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_the_sweep_at_once(bad: float) -> None:
    *finite, last = swept(
        grid(1e-6, 1e-2, 50), lambda model, step: model() * (bad if step == 17 else 1.0)
    )
    assert len(finite) == 17 and all(map(math.isfinite, finite)) and not math.isfinite(last)


@pytest.mark.parametrize("offset", [0.0, -100.0, 1e4])
def test_a_blow_up_stops_the_sweep_whatever_the_sign_of_the_loss(offset: float) -> None:
    lrs = grid(1e-4, 1e3, 100)
    found = swept(lrs, lambda model, step: model() + offset)
    assert 2 < lrs[len(found) - 1] < 30  # it learns up to 2, and the last points ruin it
    assert min(found) < offset + 0.01


@pytest.mark.parametrize("offset", [0.0, -2.0])
def test_noise_does_not_stop_a_sweep(offset: float) -> None:
    assert ending(-np.logspace(0, 3, 100), 2.0) == (100, "range")
    for seed in range(100):
        noise = 0.3 * np.random.default_rng(seed).standard_normal(100) + offset
        assert ending(noise, 2.0) == (100, "range")


def test_a_seed_fixes_the_curve_and_another_draws_another() -> None:
    def noisy() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    task = Task(noisy, loss_of=lambda model, step: (model(torch.ones(4, 3)) - 1).square().mean())
    first, again, other = (losses(sgd(task), s, grid(1e-3, 1e-1, 20)) for s in (1, 1, 2))
    assert first == again != other


HELD = [100, 101, 102]  # validation batches


def noise_net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 64), nn.Dropout(0.5), nn.BatchNorm1d(64), nn.Linear(64, 1))


def loss_of(model: nn.Module, step: int) -> Any:
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(16, 3, generator=generator)
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


def test_it_is_the_mean_loss_in_evaluation_mode() -> None:
    judge = Judge.of(Task(noise_net, loss_of=loss_of, val=HELD))
    model = noise_net()
    model[1].eval()
    before = bits(([part.training for part in model.modules()], model.state_dict()))
    first, again = judge(model), judge(model)
    assert first == again and not first.requires_grad and judge.held_out
    assert bits(([part.training for part in model.modules()], model.state_dict())) == before
    model.eval()
    assert first == pytest.approx(sum(loss_of(model, i) for i in HELD).item() / 3)


def test_without_validation_data_it_takes_the_tasks_own_batches() -> None:
    task = Task(noise_net, loss_of=loss_of, steps_per_epoch=9)
    judge = Judge.of(task)
    assert len(judge.batches) == 4 and not judge.held_out
    assert task.epochs_read == [(0, 1_000_000)]  # an epoch that no training gets to
    with pytest.raises(UsageError, match="--val-loss: there is no validation data"):
        judge.quick()


def test_a_probe_tells_what_the_judge_saw_late_in_the_training() -> None:
    """Gradient descent on x^2/2 from 1: x = (1 - lr)^k after k steps, judged after 64, 60, 56
    and 52 of them; the training batches' losses are offset by 7, those of the judge are not."""

    def offset(model: Any, step: int) -> Any:
        return model() + 7 * (step < 100)

    setup = sgd(Task(lambda: Quadratic([1.0]), loss_of=offset, val=HELD))
    (probe,) = Prober(setup, 64, Judge.of(setup.task)).each([(0.02, 0)])
    expected = sum(0.98 ** (2 * k) / 2 for k in (64, 60, 56, 52)) / 4
    assert probe.judged == pytest.approx(expected)
    assert probe.loss is not None and probe.loss > 7
