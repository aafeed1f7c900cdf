"""What `lrbench.find` is handed and refuses in one line, beside what tests/peers hands it."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.rangetest.api import find, max_stable_lr
from tests.rangetest.handed import LOSS, Net, left_alone, loader, quick, trained, two_groups

ONE_LINE = r"\A[^\n]*\Z"


class Once(list[Any]):
    """A loader that hides an iterator."""

    def __init__(self, batches: list[Any]) -> None:
        super().__init__(batches)
        self.iterator = iter(batches)

    def __iter__(self) -> Iterator[Any]:
        return self.iterator


def test_a_loader_that_can_be_read_only_once_is_refused() -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match="can be read only once") as caught:
        quick(model, Once(list(loader())), optimizer)
    caught.match(ONE_LINE)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seeds": 0}, "seeds"),
        ({"accumulate": 1.5}, "accumulate"),
        ({"seeds": [3, 3]}, "seeds: pass how many, or a list without duplicates"),
        ({"seeds": 2.0}, "seeds: pass how many"),
        ({"per": "year"}, "^per year: must be batch or epoch"),
        ({"start_lr": float("inf")}, "^start_lr inf: must be a finite number"),
        ({"step": 3}, "^step: pass a function"),
        ({"make_model": lambda: nn.Linear(6, 3)}, "^make_model: .* do not match"),
        ({"val_loader": 7}, "^val_loader"),
        ({"val_loader": []}, "^val_loader: it holds no batch"),
        ({"sweep_group": 2}, "^sweep_group: 2 is not one of the groups"),
        ({"sweep_group": -1}, "^sweep_group"),
        ({"sweep_group": "head"}, "^sweep_group"),
        ({"epochs": 3}, "needs a schedule"),
        ({"schedule": "cosine @ 0.1"}, "it names its own LR"),
        ({"schedule": "plateau"}, "it follows val_loss"),
        ({"schedule": "warmup({0,5}%) + cosine"}, r"takes one schedule; 2 are named: warmup\("),
        ({"schedule": "cosinus"}, "did you mean cosine"),
        ({"schedule": 'expr("0")', "epochs": 3}, "without a positive LR"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_in_one_line(
    change: dict[str, Any], word: str
) -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match=word) as caught:
        find(model, LOSS, loader(), optimizer, **change)
    caught.match(ONE_LINE)


@pytest.mark.parametrize(
    "loss_fn", [lambda output, _: output.mean().detach(), lambda _, target: target.sum()]
)
def test_a_loss_without_a_gradient_is_refused(loss_fn: Any) -> None:
    model, optimizer = trained()
    with (
        left_alone(model, optimizer),
        pytest.raises(UsageError, match="loss_fn: its loss has no gradient"),
    ):
        find(model, loss_fn, loader(), optimizer)


def test_what_is_no_model_or_optimizer_is_refused() -> None:
    model, optimizer = trained()
    with torch.inference_mode():
        inferring = Net()
    cases: list[Any] = [
        (None, optimizer, "model: pass an nn.Module, not a NoneType"),
        (Net, optimizer, "model: pass an nn.Module, not the class Net"),
        (nn.Sequential(nn.LazyLinear(3)), optimizer, "lazy layers"),
        (inferring, optimizer, "inference mode"),
        (model, None, "optimizer: pass one for the model's parameters, not a NoneType"),
        (model, torch.optim.SGD, "not the class SGD"),
        (model, torch.optim.lr_scheduler.StepLR(optimizer, 3), "not a StepLR"),
        (Net(), optimizer, "none of the model's parameters"),
        (model, torch.optim.LBFGS(model.parameters()), "steps of LBFGS need a closure"),
        (model, two_groups(model, 0.0, 0.1), "first group is 0"),
    ]
    for own_model, own_optimizer, words in cases:
        with pytest.raises(UsageError, match=words):
            quick(own_model, loader(), own_optimizer)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start_lr": 1.0, "end_lr": 0.1}, "start_lr 1 must lie below"),
        ({"steps": 1}, "^steps 1: "),
        ({"ratio": 1.0}, "ratio"),
    ],
)
def test_the_stable_limit_needs_a_range_and_names_its_own_arguments(
    change: dict[str, Any], words: str
) -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match=words):
        max_stable_lr(model, LOSS, loader(), optimizer, **change)
