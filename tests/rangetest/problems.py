"""Small problems to sweep over."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.options import FindSpec
from lrbench.rangetest.training import Piece, Setup, carry_out


class Quadratic(nn.Module):
    """L(x) = sum of h x^2 / 2 from x = 1, in float64; its input is ignored."""

    def __init__(self, curvatures: Sequence[float]) -> None:
        super().__init__()
        self.h = torch.tensor(curvatures, dtype=torch.float64)
        self.x = nn.Parameter(torch.ones(len(curvatures), dtype=torch.float64))

    def forward(self, _: Any = None) -> Tensor:
        return (self.h * self.x**2).sum() / 2


class Task:
    """A module without data: `steps_per_epoch` equal batches, the loss is the module's output.

    `loss_of(model, step)` may make another loss; `step` counts within one training, and is one of
    `val` where there is validation data.
    """

    samples_per_step = 1

    def __init__(
        self, make: Any, *, steps_per_epoch: int = 4, loss_of: Any = None, val: Any = None
    ) -> None:
        self.make, self.val = make, val
        self.steps_per_epoch = steps_per_epoch
        self.loss_of = loss_of or (lambda model, step: model())
        self.epochs_read: list[tuple[int, int]] = []

    def model(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made: nn.Module = self.make()
        return made

    def train_batches(self, seed: int, epoch: int) -> Iterator[int]:
        self.epochs_read.append((seed, epoch))
        first = epoch * self.steps_per_epoch
        yield from range(first, first + self.steps_per_epoch)

    def val_batches(self, samples: int) -> Sequence[int] | None:
        batches: Sequence[int] | None = self.val
        return batches

    def loss(self, model: nn.Module, batch: int) -> Tensor:
        result: Tensor = self.loss_of(model, batch)
        return result

    def evaluate(self, model: nn.Module, split: str) -> Mapping[str, float]:
        raise AssertionError("a range test reads no split")


def sgd(task: Any, spec: FindSpec | None = None, **settings: Any) -> Setup:
    """Train the task with SGD."""

    def make_optimizer(model: nn.Module) -> Any:
        return torch.optim.SGD(model.parameters(), lr=1.0, **settings), lambda lr: (lr,)

    return Setup(spec or FindSpec(), task, make_optimizer)


def train(setup: Setup, **fields: Any) -> list[Any]:
    """What a piece leaves: of a sweep each loss, of a short training all losses and the judge's."""
    piece = Piece(find=setup.spec, **{"seed": 0, "steps": 1, "judged": False, **fields})
    return [each for left in carry_out(setup, piece) for each in left]
