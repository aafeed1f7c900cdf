"""Modules and loaders of the user's own as a task with splits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lrbench.errors import UsageError
from lrbench.tasks.loaders import LoadersTask

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(50, 4, generator=GENERATOR)
LABELS = (X[:, 0] > 0).long()


def loader(batch: int = 16, targets: torch.Tensor = LABELS, **more: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, targets), batch, **more)


def linear(outputs: int) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(4, outputs)


def test_loss_and_accuracy_are_over_samples_not_batches() -> None:
    task = LoadersTask(linear(2), nn.CrossEntropyLoss(), loader(), loader(16), loader(50))
    model = task.model(0)
    with torch.no_grad():
        scores = model(X)
    expected = {
        "loss": pytest.approx(float(F.cross_entropy(scores, LABELS)), rel=1e-6),
        "accuracy": float((scores.argmax(1) == LABELS).float().mean()),
    }
    with torch.no_grad():
        assert task.evaluate(model, "val") == pytest.approx(task.evaluate(model, "test"))
        assert task.evaluate(model, "val") == {**expected, "accuracy": pytest.approx(0.46, abs=1)}
        assert task.evaluate(model, "val")["accuracy"] == pytest.approx(expected["accuracy"])


def test_a_regression_has_no_accuracy_and_a_missing_split_has_nothing() -> None:
    targets = X.sum(1, keepdim=True)
    task = LoadersTask(linear(1), nn.MSELoss(), loader(targets=targets), loader(targets=targets))
    with torch.no_grad():
        assert set(task.evaluate(task.model(0), "val")) == {"loss"}
    assert task.evaluate(task.model(0), "test") == {}


def test_a_step_of_the_users_own_counts_too() -> None:
    def step(model: nn.Module, batch: Any) -> Any:
        scores = model(batch[0])
        right = (scores.argmax(1) == batch[1]).sum()
        return F.cross_entropy(scores, batch[1]), right

    own = LoadersTask(linear(2), None, loader(), loader(), step=step)
    plain = LoadersTask(linear(2), F.cross_entropy, loader(), loader())
    with torch.no_grad():
        assert own.evaluate(own.model(3), "val") == plain.evaluate(plain.model(3), "val")


def test_seeds_draw_weights_and_order() -> None:
    own = torch.Generator()
    task = LoadersTask(linear(2), F.cross_entropy, loader(shuffle=True, generator=own), loader())

    def first(seed: int, epoch: int) -> torch.Tensor:
        return next(iter(task.train_batches(seed, epoch)))[0]

    assert torch.equal(first(0, 0), first(0, 0))
    assert not torch.equal(first(0, 0), first(0, 1))
    assert not torch.equal(first(0, 0), first(1, 0))
    weights = [task.model(seed).weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_sizes() -> None:
    task = LoadersTask(linear(2), F.cross_entropy, loader(), loader())
    assert (task.steps_per_epoch, task.samples_per_step) == (4, 16)
    batches = [(X[:10], LABELS[:10]), (X[10:20], LABELS[10:20])]
    task = LoadersTask(linear(2), F.cross_entropy, batches, batches)
    assert (task.steps_per_epoch, task.samples_per_step) == (2, 10)


def test_loaders_that_run_out_or_are_empty_are_refused() -> None:
    with pytest.raises(UsageError, match="val: it can be read only once"):
        LoadersTask(linear(2), F.cross_entropy, loader(), iter(loader()))
    with pytest.raises(UsageError, match="loader: it can be read only once"):
        LoadersTask(linear(2), F.cross_entropy, iter(loader()), loader())
    task = LoadersTask(linear(2), F.cross_entropy, loader(), [])
    with pytest.raises(UsageError, match="val: it holds no batch"):
        task.evaluate(task.model(0), "val")
