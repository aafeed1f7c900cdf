from typing import Any

import pytest
import torch

from lrbench.rangetest.api import max_stable_lr
from lrbench.rangetest.probe import Prober
from lrbench.rangetest.stability import Stability, outcome
from tests.rangetest.problems import Quadratic, Task, sgd

H = 10.0
M, WD = 0.9, 5.0


def limit(curvatures: list[float], **settings: Any) -> Stability:
    model = Quadratic(curvatures)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, **settings)
    return max_stable_lr(model, None, [0], optimizer, step=lambda model, _: model())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"momentum": M, "nesterov": True}, 2 * (1 + M) / (H * (1 + 2 * M))),
        ({"weight_decay": WD}, 2 / (H + WD)),
    ],
)
def test_the_limit_on_a_quadratic_is_the_closed_form(
    settings: dict[str, Any], expected: float
) -> None:
    found = limit([H], **settings)
    assert found.lr == pytest.approx(expected, rel=0.05)
    assert found.above == "diverges"


@pytest.mark.parametrize(
    ("momentum", "dampening", "h"),
    [
        (0.0, 0.0, 3.7), (0.9, 0.9, 10.0), (0.95, 0.5, 3.7),
        pytest.param(0.99, 0.9, 10.0, marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_momentum_and_dampening_move_the_limit_as_they_should(
    momentum: float, dampening: float, h: float
) -> None:
    """torch's first step is not dampened, so that the loss rises by 1/(1 - d)^2 before it falls."""
    found = limit([h], momentum=momentum, dampening=dampening)
    assert found.lr == pytest.approx(2 * (1 + momentum) / (h * (1 - dampening)), rel=0.05)


def verdict(lr: float, loss_of: Any = None) -> str:
    prober = Prober(sgd(Task(lambda: Quadratic([H]), loss_of=loss_of)), 64)
    (probe,) = prober.each([(lr, 0)])
    return outcome(probe, ())


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
