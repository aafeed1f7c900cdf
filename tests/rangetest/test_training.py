import math
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.rangetest.curve import Watch, ending
from lrbench.rangetest.find import grid
from lrbench.rangetest.training import Setup, read, trained
from tests.rangetest.problems import Quadratic, Task, sgd, train


def losses(setup: Setup, seed: int, lrs: Iterable[float]) -> Iterator[float]:
    return read(loss for _, loss in trained(setup, seed, lrs))


def test_a_sweep_is_gradient_descent_along_the_ramp() -> None:
    """On x^2/2 each step multiplies x by 1 - lr; a loss is taken before its step."""
    lrs = grid(1e-3, 0.5, 20)
    x = np.cumprod([1.0, *(1 - np.array(lrs))])[:-1]
    assert train(sgd(Task(lambda: Quadratic([1.0]))), kind="sweep", lrs=lrs) == pytest.approx(
        x**2 / 2
    )


def test_with_an_epoch_per_point_losses_are_means() -> None:
    task = Task(lambda: Quadratic([1.0]), steps_per_epoch=4)
    lrs = grid(1e-3, 1e-1, 12)
    by_epoch = train(sgd(task), kind="sweep", lrs=lrs, steps=4)
    each = list(losses(sgd(task), 0, [lr for lr in lrs for _ in range(4)]))
    assert by_epoch == pytest.approx(np.reshape(each, (12, 4)).mean(axis=1))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_the_sweep_at_once(bad: float) -> None:
    task = Task(
        lambda: Quadratic([1.0]),
        loss_of=lambda model, step: model() * (bad if step == 17 else 1.0),
    )
    *finite, last = train(sgd(task), kind="sweep", lrs=grid(1e-6, 1e-2, 50))
    assert len(finite) == 17 and all(map(math.isfinite, finite)) and not math.isfinite(last)


@pytest.mark.parametrize("offset", [0.0, -100.0, 1e4])
def test_a_blow_up_stops_the_sweep_whatever_the_sign_of_the_loss(offset: float) -> None:
    task = Task(lambda: Quadratic([1.0]), loss_of=lambda model, step: model() + offset)
    lrs = grid(1e-4, 1e3, 100)
    found = train(sgd(task), kind="sweep", lrs=lrs)
    assert 2 < lrs[len(found) - 1] < 30  # it learns up to 2, and the last points ruin it
    assert min(found) < offset + 0.01


@pytest.mark.parametrize("offset", [0.0, -2.0])
def test_noise_does_not_stop_a_sweep(offset: float) -> None:
    assert ending(-np.logspace(0, 3, 100), 2.0) == (100, "range")
    for seed in range(100):
        noise = 0.3 * np.random.default_rng(seed).standard_normal(100) + offset
        assert ending(noise, 2.0) == (100, "range")


def test_watching_losses_one_by_one_ends_where_the_whole_curve_says() -> None:
    rng = np.random.default_rng(4)
    ends = []
    for _ in range(100):
        curve = rng.choice([0.01, 0.3]) * rng.standard_normal(60) + rng.uniform(-3, 3)
        curve += rng.uniform(-0.2, 0.2) * np.arange(60) * rng.choice([0.0, 1.0])
        if rng.random() < 0.3:
            curve[rng.integers(60)] = rng.choice([np.nan, np.inf, -np.inf])
        watch = Watch(2.0)
        ended = [watch.ends(float(loss)) for loss in curve]
        assert ended == [ending(curve[: i + 1], 2.0)[0] < i + 1 for i in range(60)] or (
            ended.index(True) == ending(curve, 2.0)[0]
        )
        ends.append(any(ended))
    assert 0.2 < np.mean(ends) < 0.8


def test_a_seed_fixes_the_curve_and_another_draws_another() -> None:
    def noisy() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    task = Task(noisy, loss_of=lambda model, step: (model(torch.ones(4, 3)) - 1).square().mean())
    first, again, other = (list(losses(sgd(task), s, grid(1e-3, 1e-1, 20))) for s in (1, 1, 2))
    assert first == again != other
