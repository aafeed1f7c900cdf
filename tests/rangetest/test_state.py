"""Optimizers that wrap another, or hold tensors in unusual places, are left as they were."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from tests.rangetest.handed import LOSS, Net, bits, loader, quick


def published(path: str, *args: Any, **settings: Any) -> Callable[[Any], Any]:
    module, name = path.split(":")
    return lambda params: getattr(pytest.importorskip(module), name)(*args, params, **settings)


MAKERS: dict[str, Callable[[Any], Any]] = {
    "schedulefree": published("schedulefree:AdamWScheduleFree", lr=0.01),
    "schedulefree wrapper": lambda params: published("schedulefree:ScheduleFreeWrapper")(
        SGD(params, lr=0.01)
    ),
    "prodigyopt": published("prodigyopt:Prodigy", lr=1.0),
}


def train(model: nn.Module, optimizer: Any, steps: int = 4) -> list[float]:
    torch.manual_seed(5)
    if hasattr(optimizer, "train"):
        optimizer.train()
    found = []
    for _, (x, y) in zip(range(steps), loader(), strict=False):
        optimizer.zero_grad()
        loss: Tensor = LOSS(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_restored_between_trainings_and_at_the_end(name: str) -> None:
    def begun() -> tuple[Net, Any]:
        torch.manual_seed(0)
        model = Net()
        optimizer = MAKERS[name](model.parameters())
        train(model, optimizer)
        return model, optimizer

    (model, optimizer), untouched = begun(), begun()
    before = bits(optimizer.state_dict())
    both, second = (quick(model, loader(), optimizer, seeds=seeds) for seeds in ((3, 4), (4,)))
    assert [p for p in both.curve if p.seed == 4] == list(second.curve)
    assert bits(optimizer.state_dict()) == before
    assert train(model, optimizer, 12) == train(*untouched, 12)


def test_the_first_call_of_a_process_draws_nothing_from_pythons_generator():
    script = """
import random, torch, lrbench
model = torch.nn.Linear(1, 1)
batches = [(torch.ones(4, 1), torch.ones(4, 1))] * 4
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
before = random.getstate()
lrbench.find(model, torch.nn.MSELoss(), batches, optimizer, points=20, seeds=1, verify=False)
assert random.getstate() == before
"""
    subprocess.run([sys.executable, "-c", script], check=True)
