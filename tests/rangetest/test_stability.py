from typing import Any

import pytest
import torch

from lrbench.rangetest.api import max_stable_lr
from lrbench.rangetest.probe import Prober
from lrbench.rangetest.stability import Stability, outcome
from tests.rangetest.problems import Quadratic, Task, sgd

H = 10.0
M, WD = 0.9, 5.0
LONG = pytest.mark.long


def limit(h: float, end_lr: float = 1e3, **settings: Any) -> Stability:
    model = Quadratic([h])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, **settings)
    return max_stable_lr(model, None, [0], optimizer, step=lambda m, _: m(), end_lr=end_lr)


@pytest.mark.parametrize(
    ("settings", "h", "expected"),
    [
        ({"weight_decay": WD}, H, 2 / (H + WD)),
        ({"momentum": M, "nesterov": True}, H, 2 * (1 + M) / (H * (1 + 2 * M))),
        ({"momentum": 0.0}, 3.7, 2 / 3.7),
        ({"momentum": 0.9, "dampening": 0.9}, H, 2 * 1.9 / (H * 0.1)),
        pytest.param({"momentum": 0.99, "dampening": 0.9}, H, 3.98 / (H * 0.1), marks=LONG),
    ],
)
def test_the_limit_on_a_quadratic_is_the_closed_form(
    settings: dict[str, Any], h: float, expected: float
) -> None:
    """torch's first step is not dampened, so that the loss rises by 1/(1 - d)^2 before it falls."""
    found = limit(h, **settings)
    assert found.lr == pytest.approx(expected, rel=0.05) and found.above == "diverges"


def oscillating(model: Any, step: int) -> Any:
    """|x| from x = 1: with an LR of 5 sign steps jump between 1 and -4 for ever."""
    return model.x.abs().sum()


@pytest.mark.parametrize(
    ("lr", "loss_of", "expected"),
    [
        (0.01, None, "converges"),
        (0.19, None, "converges"),
        (0.2, None, "bounded"),
        (0.21, None, "diverges"),
        (5.0, oscillating, "bounded"),
    ],
)
def test_three_different_answers(lr: float, loss_of: Any, expected: str) -> None:
    prober = Prober(sgd(Task(lambda: Quadratic([H]), loss_of=loss_of)), 64)
    (probe,) = prober.each([(lr, 0)])
    assert outcome(probe, ()) == expected


@pytest.mark.parametrize(
    ("h", "expected"), [(1e-6, (50.0, None)), (1e9, (None, "diverges"))], ids=["all", "none"]
)
def test_where_all_or_nothing_converges_that_is_said(h: float, expected: Any) -> None:
    found = limit(h, end_lr=50.0)
    assert (found.lr, found.above) == expected
