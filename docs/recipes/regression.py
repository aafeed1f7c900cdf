"""The linear regression of an article: x = rand(100)·10, y = 2x + 3 + randn, one batch of all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

Batch = tuple[Tensor, Tensor]


class Article:
    """100 points, all of them in each step; validation and test on 100 others each."""

    samples_per_step = 100
    steps_per_epoch = 1

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        x = 10 * torch.rand(300, 1, generator=generator)
        y = 2 * x + 3 + torch.randn(300, 1, generator=generator)
        self.splits = {
            name: (x[start : start + 100], y[start : start + 100])
            for name, start in (("train", 0), ("val", 100), ("test", 200))
        }

    def model(self, seed: int) -> nn.Module:
        return nn.Linear(1, 1)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Batch]:
        yield self.splits["train"]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        x, y = batch
        return mse_loss(model(x), y)

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        x, y = self.splits[split]
        return {"loss": float(mse_loss(model(x), y))}
