"""Small tasks for tests of the machinery."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.options import Recipe, TrialSpec

PLAIN = Recipe(momentum=0.0, weight_decay=0.0)


class Line:
    """Fit y = 2x + 3 by a linear layer: four batches of eight points an epoch, no accuracy."""

    steps_per_epoch = 4
    samples_per_step = 8

    def __init__(self, poison_epoch: int | None = None) -> None:
        self.poison_epoch = poison_epoch
        self.tests_read = 0

    def model(self, seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return nn.Linear(1, 1)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(seed * 1000 + epoch)
        for step in range(self.steps_per_epoch):
            x = torch.rand(8, 1, generator=generator)
            poisoned = epoch == self.poison_epoch and step == 2
            yield x, torch.full_like(x, float("nan")) if poisoned else 2 * x + 3

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        x, y = batch
        return nn.functional.mse_loss(model(x), y)

    def evaluate(self, model: nn.Module, split: str) -> Mapping[str, float]:
        self.tests_read += split == "test"
        x = torch.linspace(0, 1, 11)[:, None]
        with torch.no_grad():
            return {"loss": float(nn.functional.mse_loss(model(x), 2 * x + 3))}


def trial(**changes: Any) -> TrialSpec:
    fields: dict[str, Any] = {
        "recipe": PLAIN, "schedule": "constant", "lr": 0.1, "seed": 0, "stage": "tune", "epochs": 3,
    }  # fmt: skip
    return TrialSpec(**{**fields, **changes})
