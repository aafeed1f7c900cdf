from __future__ import annotations

from typing import Any

import pytest
import torch

from lrbench.rangetest.api import max_stable_lr
from lrbench.rangetest.probe import Prober, outcome
from lrbench.rangetest.stability import Stability
from tests.rangetest.problems import Quadratic, Task, sgd

H = 10.0
M, WD, D = 0.9, 5.0, 0.5


def limit(curvatures: list[float], **settings: Any) -> Stability:
    model = Quadratic(curvatures)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, **settings)
    return max_stable_lr(model, None, [0], optimizer, step=lambda model, _: model())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 2 / H),
        ({"momentum": 0.5}, 2 * 1.5 / H),
        ({"momentum": M}, 2 * (1 + M) / H),
        ({"momentum": 0.99}, 2 * 1.99 / H),
        ({"momentum": 0.98, "dampening": D}, 2 * 1.98 / (H * (1 - D))),
        ({"momentum": M, "nesterov": True}, 2 * (1 + M) / (H * (1 + 2 * M))),
        ({"weight_decay": WD}, 2 / (H + WD)),
        ({"momentum": M, "dampening": D}, 2 * (1 + M) / (H * (1 - D))),
    ],
)
def test_the_limit_on_a_quadratic_is_the_closed_form(
    settings: dict[str, Any], expected: float
) -> None:
    found = limit([H], **settings)
    assert found.lr == pytest.approx(expected, rel=0.05)
    assert found.above == "diverges"


def test_the_steepest_direction_sets_the_limit() -> None:
    assert limit([H, 1.0, 0.1]).lr == pytest.approx(2 / H, rel=0.05)


def verdict(lr: float, loss_of: Any = None) -> str:
    prober = Prober(sgd(Task(lambda: Quadratic([H]), loss_of=loss_of)), 64)
    return outcome(prober(lr, 0), ())


@pytest.mark.parametrize(
    ("lr", "expected"),
    [(0.01, "converges"), (0.19, "converges"), (0.2, "bounded"), (0.21, "diverges")],
)
def test_three_different_answers(lr: float, expected: str) -> None:
    assert verdict(lr) == expected


def test_a_loss_that_oscillates_is_bounded() -> None:
    """|x| from x = 1: with an LR of 5 sign steps jump between 1 and -4 for ever."""
    assert verdict(5.0, lambda model, step: model.x.abs().sum()) == "bounded"


def test_where_everything_converges_the_end_of_the_range_is_said() -> None:
    model = Quadratic([1e-6])
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    found = max_stable_lr(model, None, [0], optimizer, step=lambda m, _: m(), end_lr=50.0)
    assert (found.lr, found.above) == (50.0, None)


def test_where_nothing_converges_there_is_no_limit() -> None:
    model = Quadratic([1e9])
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    found = max_stable_lr(model, None, [0], optimizer, step=lambda m, _: m())
    assert (found.lr, found.above) == (None, "diverges")
