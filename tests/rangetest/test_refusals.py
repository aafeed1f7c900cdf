"""What `lrbench.find` is handed and refuses in one line, beside what tests/peers hands it."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.rangetest.api import find, max_stable_lr
from tests.rangetest.handed import QUICK, Net, everything, loader, trained


class Once:
    """A loader that hides an iterator."""

    def __init__(self, batches: list[Any]) -> None:
        self.iterator = iter(batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.iterator)

    def __len__(self) -> int:
        return 6


@pytest.mark.parametrize("make", [iter, lambda data: (batch for batch in data), enumerate, Once])
def test_a_loader_that_can_be_read_only_once_is_refused(make: Any) -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match="can be read only once") as caught:
        find(model, nn.CrossEntropyLoss(), make(list(loader())), optimizer, **QUICK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"end_lr": float("nan")}, "end_lr"),
        ({"seeds": 0}, "seeds"),
        ({"accumulate": 1.5}, "accumulate"),
        ({"seeds": [3, 3]}, "seeds: pass how many, or a list of different ones"),
        ({"seeds": []}, "seeds: pass how many"),
        ({"seeds": 2.0}, "seeds: pass how many"),
        ({"per": "year"}, "^per year: must be batch or epoch"),
        ({"start_lr": float("inf")}, "^start_lr inf: must be a finite number"),
        ({"step": 3}, "^step: pass a function"),
        ({"make_model": lambda: nn.Linear(6, 3)}, "^make_model: .* other weights"),
        ({"val_loader": 7}, "^val_loader"),
        ({"val_loader": []}, "^val_loader: it holds no batch"),
        ({"val_loader": iter(())}, "^val_loader: it can be read only once"),
        ({"sweep_group": 2}, "^sweep_group: 2 is none of the groups"),
        ({"sweep_group": -1}, "^sweep_group"),
        ({"sweep_group": "head"}, "^sweep_group"),
        ({"epochs": 3}, "needs its schedule"),
        ({"schedule": "cosine @ 0.1"}, "its LR is written in it"),
        ({"schedule": "plateau"}, "it follows val_loss"),
        (
            {"schedule": "warmup({0,5}%) + cosine"},
            r"takes one schedule; 2 are named: warmup\(",
        ),
        ({"schedule": "cosinus"}, "did you mean cosine"),
        ({"schedule": 'expr("0")', "epochs": 3}, "without a positive LR"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_in_one_line(
    change: dict[str, Any], word: str
) -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match=word) as caught:
        find(model, nn.CrossEntropyLoss(), loader(), optimizer, **{**QUICK, **change})
    assert "\n" not in str(caught.value)


def test_a_loss_without_a_gradient_is_refused() -> None:
    model, optimizer = trained()
    before = everything(model, optimizer, None)
    for loss_fn in (lambda output, _: output.mean().detach(), lambda _, target: target.sum()):
        with pytest.raises(UsageError, match="loss_fn: its loss has no gradient"):
            find(model, loss_fn, loader(), optimizer, **QUICK)
    assert everything(model, optimizer, None) == before


def test_what_is_no_model_or_optimizer_is_refused() -> None:
    model, optimizer = trained()
    lazy = nn.Sequential(nn.LazyLinear(3))
    with torch.inference_mode():
        inferring = Net()
    groups = [
        {"params": model.layers[0].parameters(), "lr": 0.0},
        {"params": model.layers[4].parameters(), "lr": 0.1},
    ]
    cases: list[Any] = [
        (None, optimizer, "model: pass an nn.Module, not a NoneType"),
        (Net, optimizer, "model: pass an nn.Module, not the class Net"),
        (lazy, optimizer, "lazy layers"),
        (inferring, optimizer, "inference mode"),
        (model, None, "optimizer: pass one of the model's parameters, not a NoneType"),
        (model, torch.optim.SGD, "not the class SGD"),
        (model, torch.optim.lr_scheduler.StepLR(optimizer, 3), "not a StepLR"),
        (Net(), optimizer, "none of the model's parameters"),
        (model, torch.optim.LBFGS(model.parameters()), "steps of LBFGS need a closure"),
        (model, torch.optim.SGD(groups), "first group is 0"),
    ]
    for own_model, own_optimizer, words in cases:
        with pytest.raises(UsageError, match=words):
            find(own_model, nn.CrossEntropyLoss(), loader(), own_optimizer, **QUICK)


def test_the_stable_limit_needs_a_range_and_names_its_own_arguments() -> None:
    model, optimizer = trained()
    for change, words in (
        ({"start_lr": 1.0, "end_lr": 0.1}, "start_lr 1 must lie below"),
        ({"steps": 1}, "^steps 1: "),
        ({"ratio": 1.0}, "ratio"),
    ):
        with pytest.raises(UsageError, match=words):
            max_stable_lr(model, nn.CrossEntropyLoss(), loader(), optimizer, **change)
