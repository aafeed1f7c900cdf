"""Modules and loaders of the user's own as a task with splits."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from lrbench.errors import UsageError
from lrbench.tasks.base import to_device
from lrbench.tasks.loaders import LoadersTask, LoaderTask, check_loader

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(50, 4, generator=GENERATOR)
LABELS = (X[:, 0] > 0).long()


POINTS, Y = torch.arange(12.0).reshape(6, 2), torch.arange(6.0)[:, None]
DATA: Any = TensorDataset(POINTS, Y)
LOADER = DataLoader(DATA, batch_size=2)
MSE = F.mse_loss


def loader(batch: int = 16, targets: torch.Tensor = LABELS, **more: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, targets), batch, **more)


def linear(outputs: int) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(4, outputs)


def test_loss_and_accuracy_are_over_samples_not_batches() -> None:
    task = LoadersTask(linear(2), nn.CrossEntropyLoss(), loader(), loader(16), loader(50))
    model = task.model(0)
    with torch.no_grad():
        scores = model(X)
        loss, right = float(F.cross_entropy(scores, LABELS)), scores.argmax(1) == LABELS
        expected = {"loss": loss, "accuracy": float(right.float().mean())}
        for split in ("val", "test"):
            assert task.evaluate(model, split) == pytest.approx(expected, rel=1e-6)


def test_a_regression_has_no_accuracy_and_a_missing_split_has_nothing() -> None:
    targets = X.sum(1, keepdim=True)
    task = LoadersTask(linear(1), nn.MSELoss(), loader(targets=targets), loader(targets=targets))
    assert set(task.evaluate(task.model(0), "val")) == {"loss"}
    assert task.evaluate(task.model(0), "test") == {}


def test_seeds_draw_weights_and_order() -> None:
    own = torch.Generator()
    task = LoadersTask(linear(2), F.cross_entropy, loader(shuffle=True, generator=own), loader())

    def first(seed: int, epoch: int) -> torch.Tensor:
        return next(iter(task.train_batches(seed, epoch)))[0]

    assert torch.equal(first(0, 0), first(0, 0))
    assert not torch.equal(first(0, 0), first(0, 1))
    assert not torch.equal(first(0, 0), first(1, 0))
    weights = [task.model(seed).weight for seed in (0, 0, 1)]
    assert torch.equal(*weights[:2]) and not torch.equal(*weights[1:])


def test_sizes_are_those_of_a_loader_or_of_a_list_of_batches() -> None:
    for batches, expected in ((loader(), (4, 16)), ([(X[:10], LABELS[:10])] * 2, (2, 10))):
        task = LoadersTask(linear(2), F.cross_entropy, batches, batches)
        assert (task.steps_per_epoch, task.samples_per_step) == expected


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(())


ENDLESS = DataLoader(Endless())


def single(model: nn.Module, loss: Any, batches: Any, **more: Any) -> LoaderTask:
    """A task whose model and loss have been asked for, too."""
    task = LoaderTask(model, loss, batches, **more)
    task.loss(task.model(0), next(iter(batches)))
    return task


def splits(train: Any, val: Any) -> None:
    task = LoadersTask(linear(2), F.cross_entropy, train, val)
    task.evaluate(task.model(0), "val")


REFUSED: list[tuple[str, Callable[[], Any]]] = [
    ("no trainable parameters", lambda: single(nn.ReLU(), MSE, LOADER)),
    ("loss_fn", lambda: single(nn.Linear(2, 1), None, LOADER)),
    (r"pass MSELoss\(\)", lambda: single(nn.Linear(2, 1), nn.MSELoss, LOADER)),
    ("make_model", lambda: single(nn.Linear(2, 1), MSE, LOADER, make_model=lambda: None)),
    (
        "make_model: got a Linear",
        lambda: LoadersTask(nn.Linear(2, 1), MSE, LOADER, LOADER),  # type: ignore[arg-type]
    ),
    ("returned the same", lambda: LoadersTask(nn.Linear(2, 1).eval, MSE, LOADER, LOADER).model(0)),
    ("loss_fn 'mse': must be", lambda: single(nn.Linear(2, 1), "mse", LOADER)),
    ("step=", lambda: single(nn.Linear(2, 1), MSE, [POINTS])),
    ("val: it can be read only once", lambda: splits(loader(), iter(loader()))),
    ("loader: it can be read only once", lambda: splits(iter(loader()), loader())),
    ("val: it holds no batch", lambda: splits(loader(), [])),
    ("it has no length", lambda: LoaderTask(nn.Linear(2, 1), MSE, ENDLESS).steps_per_epoch),
    (r"^train: a TensorDataset holds samples.*; pass Data", lambda: check_loader("train", DATA)),
    (r"^train: a Subset holds samples", lambda: check_loader("train", Subset(DATA, [0, 2]))),
]


@pytest.mark.parametrize(("words", "make"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_cannot_serve_is_refused(words: str, make: Callable[[], Any]) -> None:
    with pytest.raises(UsageError, match=words):
        make()


def test_several_inputs_and_own_steps() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return self.scale * (a + b)

    task = LoaderTask(Sum(), nn.functional.l1_loss, [(POINTS, POINTS, 2 * POINTS)])
    assert task.loss(task.model(0), (POINTS, POINTS, 2 * POINTS)).item() == 0
    own = LoaderTask(Sum(), None, [{"x": POINTS}], step=lambda m, b: m(b["x"], b["x"]).mean())
    assert own.loss(own.model(0), {"x": POINTS}).item() == pytest.approx(float(POINTS.mean()) * 2)


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


def test_every_container_is_moved_and_kept() -> None:
    batch = {"pair": Pair(POINTS, Y), "list": [POINTS, "text"], "number": 3}
    moved = to_device(batch, torch.device("cpu"))
    assert isinstance(moved["pair"], Pair) and moved["list"][1] == "text" and moved["number"] == 3


def test_a_step_of_the_users_own_counts_too() -> None:
    def step(model: nn.Module, batch: Any) -> Any:
        scores = model(batch[0])
        right = (scores.argmax(1) == batch[1]).sum()
        return F.cross_entropy(scores, batch[1]), right

    own = LoadersTask(linear(2), None, loader(), loader(), step=step)
    plain = LoadersTask(linear(2), F.cross_entropy, loader(), loader())
    with torch.no_grad():
        assert own.evaluate(own.model(3), "val") == plain.evaluate(plain.model(3), "val")
