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
    ("settings", "h", "expected"),
    [
        ({"weight_decay": WD}, H, 2 / (H + WD)),
        ({"momentum": M, "nesterov": True}, H, 2 * (1 + M) / (H * (1 + 2 * M))),
        ({"momentum": 0.0}, 3.7, 2 / 3.7),
        ({"momentum": 0.9, "dampening": 0.9}, H, 2 * 1.9 / (H * 0.1)),
        ({"momentum": 0.95, "dampening": 0.5}, 3.7, 2 * 1.95 / (3.7 * 0.5)),
        pytest.param(
            {"momentum": 0.99, "dampening": 0.9}, H, 2 * 1.99 / (H * 0.1), marks=pytest.mark.long
        ),
    ],
)
def test_the_limit_on_a_quadratic_is_the_closed_form(
    settings: dict[str, Any], h: float, expected: float
) -> None:
    """torch's first step is not dampened, so that the loss rises by 1/(1 - d)^2 before it falls."""
    found = limit([h], **settings)
    assert found.lr == pytest.approx(expected, rel=0.05) and found.above == "diverges"


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


@pytest.mark.parametrize(
    ("h", "expected"), [(1e-6, (50.0, None)), (1e9, (None, "diverges"))], ids=["all", "none"]
)
def test_where_all_or_nothing_converges_that_is_said(h: float, expected: Any) -> None:
    model = Quadratic([h])
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    found = max_stable_lr(model, None, [0], optimizer, step=lambda m, _: m(), end_lr=50.0)
    assert (found.lr, found.above) == expected
