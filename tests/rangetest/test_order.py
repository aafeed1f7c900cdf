"""Batches in a fixed order, which moves the loss by itself."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrbench.rangetest.api import find
from tests.rangetest.handed import LOSS, SWEEP, loader, quick, seeing, trained


class Unused(nn.Module):
    """Its parameter never reaches the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * self.w


def easy_last() -> list[tuple[Tensor, Tensor]]:
    size = torch.linspace(2.0, 0.1, 150).view(-1, 1, 1)
    shown = size * torch.randn(150, 16, 4, generator=torch.Generator().manual_seed(0))
    return [(x, torch.zeros_like(x)) for x in shown]


def by_class(n: int = 1600) -> list[tuple[Tensor, Tensor]]:
    y = torch.arange(10).repeat_interleave(n // 10)
    x = torch.randn(n, 10, generator=torch.Generator().manual_seed(0))
    x += 0.4 * y[:, None] * nn.functional.one_hot(y, 10)
    return list(zip(x.split(16), y.split(16), strict=True))


@pytest.mark.parametrize("verify", [None, False])
@pytest.mark.parametrize(("batches", "loss_fn"), [(easy_last(), nn.MSELoss()), (by_class(), LOSS)])
def test_an_order_of_batches_is_not_taken_for_learning(
    batches: Any, loss_fn: Any, verify: Any
) -> None:
    model = Unused()
    found = find(model, loss_fn, batches, torch.optim.SGD([model.w], lr=0.1), verify=verify)
    assert found.lr is None and found.reasons[0].startswith("flat: no gradient reaches")
    assert found.verification is None


def test_an_order_by_class_is_said_and_judged_over_all_that_was_seen() -> None:
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 10))
    found = find(model, LOSS, by_class(), torch.optim.SGD(model.parameters(), lr=0.1))
    assert found.grade == "weak" and any(text.startswith("ordered") for text in found.reasons)
    far = [LOSS(model(x), y).item() for x, y in by_class()[:64:16]]
    assert found.verification is not None
    assert found.verification["start"] == pytest.approx(sum(far) / 4)


@pytest.mark.parametrize(("shuffled", "controls"), [(True, 0), (False, 20)])
def test_a_shuffled_loader_needs_no_control(shuffled: bool, controls: int) -> None:
    model, optimizer = trained()
    lrs, step = seeing(lambda *_: optimizer.param_groups[0]["lr"])
    data = loader() if shuffled else list(loader())
    quick(model, data, optimizer, step=step, points=20, seeds=1, end_lr=1e-4, **SWEEP)
    assert lrs.count(0.0) == controls
