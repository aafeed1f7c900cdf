"""A regression as a task of its own: a small network learns a bent surface.

    cd docs/examples && lrbench find --task regression:Surface
    cd docs/examples && lrbench compare --task regression:Surface --epochs 3

A task is all that lrbench sees of a problem; the names below are the whole protocol.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

Batch = tuple[Tensor, Tensor]


class Surface:
    """y of 8 numbers in [-1, 1], part straight, part bent: 1,024 points to train on, 256 for
    validation, 256 for test."""

    def __init__(self, batch_size: int = 64) -> None:
        generator = torch.Generator().manual_seed(0)
        x = 2 * torch.rand(1536, 8, generator=generator) - 1
        y = x[:, 3:].sum(1) + torch.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2]
        y = (y + 0.1 * torch.randn(1536, generator=generator))[:, None]
        self.train = x[:1024], y[:1024]
        self.splits = {"val": (x[1024:1280], y[1024:1280]), "test": (x[1280:], y[1280:])}
        self.samples_per_step = batch_size
        self.steps_per_epoch = 1024 // batch_size

    def model(self, seed: int) -> nn.Module:
        """A new network. Its weights may be drawn as usual: torch is seeded already."""
        return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))

    def train_batches(self, seed: int, epoch: int) -> Iterator[Batch]:
        """`steps_per_epoch` batches, in an order that follows from the seed and the epoch."""
        x, y = self.train
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1000 * seed + epoch))
        for step in range(self.steps_per_epoch):
            chosen = order[step * self.samples_per_step : (step + 1) * self.samples_per_step]
            yield x[chosen], y[chosen]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean loss of a batch."""
        x, y = batch
        return mse_loss(model(x), y)

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """The loss over a split, "val" or "test". With an accuracy beside it that would rank."""
        x, y = self.splits[split]
        device = next(model.parameters()).device
        return {"loss": float(mse_loss(model(x.to(device)), y.to(device)))}


if __name__ == "__main__":
    import lrbench

    found = lrbench.compare(Surface(), schedules=["constant", "cosine"], epochs=5, seeds=3)
    print(found.ranking[["rank", "group", "schedule", "lr", "metric", "metric_mean"]])
    print(found.sentence)
