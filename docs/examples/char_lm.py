"""A character language model as a task of its own: a GRU reads Python's Zen, again and again.

cd docs/examples && lrbench find --task char_lm:Zen --optimizer adamw
cd docs/examples && lrbench compare --task char_lm:Zen --optimizer adamw --epochs 3
"""

import codecs
import contextlib
import io
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

with contextlib.redirect_stdout(io.StringIO()):
    import this

TEXT = codecs.decode(this.s, "rot13")
LENGTH = 32


class Reader(nn.Module):
    """Characters int64 [batch, length] to scores of the next one, [batch, length, characters]."""

    def __init__(self, characters: int, width: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 16)
        self.gru = nn.GRU(16, width, batch_first=True)
        self.head = nn.Linear(width, characters)

    def forward(self, text: Tensor) -> Tensor:
        return self.head(self.gru(self.embedding(text))[0])


class Zen:
    """The first 70 % of the text are for training, then 15 % for validation, 15 % for test. A
    batch holds `batch_size` windows of 33 characters."""

    steps_per_epoch = 20

    def __init__(self, batch_size: int = 16) -> None:
        letters = sorted(set(TEXT))
        text = torch.tensor([letters.index(letter) for letter in TEXT])
        first, second = int(0.7 * len(text)), int(0.85 * len(text))
        self.characters = len(letters)
        self.train = text[:first]
        self.splits = {"val": text[first:second], "test": text[second:]}
        self.samples_per_step = batch_size

    def model(self, seed: int) -> nn.Module:
        return Reader(self.characters)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        for _ in range(self.steps_per_epoch):
            starts = torch.randint(
                len(self.train) - LENGTH, (self.samples_per_step, 1), generator=generator
            )
            yield self.train[starts + torch.arange(LENGTH + 1)]

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        scores = model(batch[:, :-1])
        return cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        text = self.splits[split][None].to(next(model.parameters()).device)
        loss = float(self.loss(model, text))
        return {"loss": loss, "bits": loss / math.log(2)}


if __name__ == "__main__":
    import lrbench

    found = lrbench.compare(
        Zen(),
        optimizer="adamw",
        schedules=["constant", "cosine"],
        lr=[0.01, 0.03],
        epochs=3,
        seeds=3,
    )
    print(found.ranking[["rank", "group", "schedule", "lr", "metric", "metric_mean"]])
    print(found.sentence)
