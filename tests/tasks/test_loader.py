"""A user's module and loader as a task."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from lrbench.errors import UsageError
from lrbench.tasks.loaders import LoaderTask, to_device

X, Y = torch.arange(12.0).reshape(6, 2), torch.arange(6.0)[:, None]
LOADER = DataLoader(TensorDataset(X, Y), batch_size=2)


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


def test_it_trains_on_what_the_loader_gives() -> None:
    model = nn.Linear(2, 1)
    task = LoaderTask(model, nn.functional.mse_loss, LOADER)
    assert (task.steps_per_epoch, task.samples_per_step) == (3, 2)
    batches = list(task.train_batches(0, 0))
    assert torch.equal(torch.cat([x for x, _ in batches]), X)
    loss = task.loss(model, batches[0])
    assert torch.equal(loss, nn.functional.mse_loss(model(X[:2]), Y[:2]))


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return itertools.cycle([(X[0], Y[0])])


def test_a_loader_without_a_length_is_refused_where_one_is_needed_and_never_counted() -> None:
    task = LoaderTask(nn.Linear(2, 1), nn.functional.mse_loss, DataLoader(Endless(), batch_size=2))
    assert next(iter(task.train_batches(0, 0)))[0].shape == (2, 2)
    with pytest.raises(UsageError, match="it has no length"):
        _ = task.steps_per_epoch


def test_make_model_draws_weights_from_the_seed_alone() -> None:
    task = LoaderTask(
        nn.Linear(2, 1), nn.functional.mse_loss, LOADER, make_model=lambda: nn.Linear(2, 1)
    )
    before = torch.get_rng_state()
    one, same, other = (task.model(seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one.weight, same.weight) and not torch.equal(one.weight, other.weight)


def test_the_order_of_a_shuffling_loader_follows_from_the_seed() -> None:
    loader = DataLoader(TensorDataset(X, Y), batch_size=2, shuffle=True)
    task = LoaderTask(nn.Linear(2, 1), nn.functional.mse_loss, loader)

    def order(seed: int, epoch: int) -> list[float]:
        return torch.cat([y for _, y in task.train_batches(seed, epoch)]).flatten().tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(1, 0) or order(0, 0) != order(0, 1)


def test_several_inputs_and_own_steps() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return self.scale * (a + b)

    task = LoaderTask(Sum(), nn.functional.l1_loss, [(X, X, 2 * X)])
    assert task.loss(task.model(0), (X, X, 2 * X)).item() == 0
    own = LoaderTask(Sum(), None, [{"x": X}], step=lambda m, b: m(b["x"], b["x"]).mean())
    assert own.loss(own.model(0), {"x": X}).item() == pytest.approx(float(X.mean()) * 2)


@pytest.mark.parametrize(
    ("loader", "words"),
    [(iter([(X, Y)]), "read only once"), ([], "holds no batch")],
)
def test_a_loader_that_cannot_serve_is_refused_in_one_line(loader: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        LoaderTask(nn.Linear(2, 1), nn.functional.mse_loss, loader)
    assert "\n" not in str(caught.value)


def test_other_refusals() -> None:
    with pytest.raises(UsageError, match="no parameter"):
        LoaderTask(nn.ReLU(), nn.functional.mse_loss, LOADER)
    with pytest.raises(UsageError, match="loss_fn"):
        LoaderTask(nn.Linear(2, 1), None, LOADER)
    task = LoaderTask(nn.Linear(2, 1), nn.functional.mse_loss, [X])
    with pytest.raises(UsageError, match="step="):
        task.loss(task.model(0), X)


def test_the_users_own_exception_comes_out_unchanged() -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("mine")

    task = LoaderTask(nn.Linear(2, 1), broken, LOADER)
    with pytest.raises(ZeroDivisionError, match="mine"):
        task.loss(task.model(0), (X, Y))


def test_every_container_is_moved_and_kept() -> None:
    device = torch.device("cpu")
    batch = {"pair": Pair(X, Y), "list": [X, "text"], "number": 3}
    moved = to_device(batch, device)
    assert isinstance(moved["pair"], Pair) and moved["list"][1] == "text" and moved["number"] == 3
