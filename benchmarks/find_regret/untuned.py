"""What is lost by training at the answer of `lrbench.find`, on problems not used for tuning it.

`python untuned.py [PROBLEM ...]`, all twelve where none are named, within ten minutes on one core.
For three draws of the weights: the validation loss after 64 steps at 13 constant learning rates,
three to a decade, and at the answer of one range test with the default settings; a mean over two
orders of the batches that the range test does not see. Regret is the loss at the answer over the
lowest of the 13; the worst of the three is shown.
"""

import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lrbench
from lrbench.data import load
from lrbench.rangetest.result import FindResult

STEPS = 64
DRAWS = range(3)
ORDERS = (901, 902)
RANGES = {"SGD": (-3, 1), "AdamW": (-5, -1), "RMSprop": (-5, -1)}
Splits = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Problem:
    """`make` draws a model from torch's generator; `data` gives training and validation tensors."""

    make: Callable[[], nn.Module]
    data: Callable[[], Splits]
    optimizer: str
    batch: int
    loss_fn: Callable[..., Tensor] = nn.functional.cross_entropy

    def optimized(self, model: nn.Module, lr: float) -> torch.optim.Optimizer:
        settings: dict[str, Any] = {"momentum": 0.9} if self.optimizer == "SGD" else {}
        kind: Any = getattr(torch.optim, self.optimizer)
        made: torch.optim.Optimizer = kind(
            [p for p in model.parameters() if p.requires_grad], lr=lr, **settings
        )
        return made


def digits(train: int = 1600, classes: int = 10) -> Splits:
    """Half as high and as wide as MNIST's, in a random order."""
    found = load("mnist5k")
    order = np.random.default_rng(1).permutation(len(found.train_labels))
    x = torch.from_numpy(found.train_images[order][:, :, ::2, ::2] / 255.0).float()
    y = torch.from_numpy(found.train_labels[order]).long() % classes
    return (x[:train], y[:train]), (x[-500:], y[-500:])


def noisy() -> Splits:
    """Four in ten of the training labels are drawn anew."""
    (x, y), val = digits()
    draw = torch.Generator().manual_seed(1)
    wrong = torch.rand(len(y), generator=draw) < 0.4
    return (x, torch.where(wrong, torch.randint(10, y.shape, generator=draw), y)), val


def imbalanced() -> Splits:
    """Is it a 7? Among the training images, one in twenty is."""
    (x, y), (vx, vy) = digits(3500)
    kept = (y != 7) | (torch.arange(len(y)) % 2 == 0)
    return (x[kept], (y[kept] == 7).long()), (vx, (vy == 7).long())


def themselves() -> Splits:
    (x, _), (vx, _) = digits()
    return (x, x), (vx, vx)


def function() -> Splits:
    """A sum of waves, its values in the tens, with noise."""
    x = torch.randn(1500, 8, generator=torch.Generator().manual_seed(1))
    y = 20 + 10 * torch.sin(2 * x[:, :3]).sum(1, keepdim=True) + 5 * x[:, 3:4] * x[:, 4:5]
    y += torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    return (x[:1000], y[:1000]), (x[1000:], y[1000:])


def chain(states: int = 16, length: int = 12) -> Splits:
    """Sequences of a Markov chain, and their next states."""
    draw = torch.Generator().manual_seed(1)
    matrix = torch.softmax(3 * torch.randn(states, states, generator=draw), 1)
    seen = [torch.randint(states, (1200,), generator=draw)]
    for _ in range(length):
        seen.append(torch.multinomial(matrix[seen[-1]], 1, generator=draw).squeeze(1))
    text = torch.stack(seen, 1)
    x, y = text[:, :-1], text[:, 1:]
    return (x[:900], y[:900]), (x[900:], y[900:])


def sums() -> Splits:
    """Is the sum of a series, of noise about a level, above 0 in its second half?"""
    x = torch.randn(1500, 20, 2, generator=torch.Generator().manual_seed(1))
    y = (x[:, 10:, 0].sum(1) > 0).long()
    return (x[:1000], y[:1000]), (x[1000:], y[1000:])


def words() -> Splits:
    """Bags of 12 of 500 words; each of 8 topics prefers 30 of them."""
    draw = torch.Generator().manual_seed(1)
    y = torch.randint(8, (1500,), generator=draw)
    own = torch.randint(30, (1500, 12), generator=draw) + 30 * y[:, None]
    any_word = torch.randint(500, (1500, 12), generator=draw)
    x = torch.where(torch.rand(1500, 12, generator=draw) < 0.4, own, any_word)
    return (x[:1000], y[:1000]), (x[1000:], y[1000:])


def mlp(*widths: int) -> nn.Sequential:
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def convolutions(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), norm(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), norm(16),
        nn.ReLU(), nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip


def fine_tuned() -> nn.Module:
    """Convolutions with batch normalisation that have learnt 0 to 4 are frozen, a head is new."""
    model = convolutions(nn.BatchNorm2d)
    (x, y), _ = digits(1600, 5)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for part in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[part]), y[part]).backward()
        optimizer.step()
    model[:6].eval().requires_grad_(False)
    model[7] = nn.Linear(256, 10)
    return model


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(16, 32), nn.Parameter(0.1 * torch.randn(12, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.out = nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        found: Tensor = self.out(self.layers(self.words(x) + self.places, mask=mask))
        return found.transpose(1, 2)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(2, 24, batch_first=True), nn.Linear(24, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.out(self.lstm(x)[0][:, -1])
        return found


def mobilenet() -> nn.Module:
    from torchvision.models import MobileNetV2

    made = MobileNetV2(10, width_mult=0.25, inverted_residual_setting=[[1, 16, 1, 1], [6, 24, 2, 2],
                       [6, 32, 2, 2]])  # fmt: skip
    made.features[0][0] = nn.Conv2d(1, made.features[0][0].out_channels, 3, 2, 1, bias=False)
    return made


def autoencoder() -> nn.Module:
    return nn.Sequential(mlp(196, 64, 16, 64, 196), nn.Sigmoid(), nn.Unflatten(1, (1, 14, 14)))


def bag() -> nn.Module:
    return nn.Sequential(nn.EmbeddingBag(500, 32), nn.Linear(32, 8))


def group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(4, channels)


PROBLEMS = {
    "transformer": Problem(Transformer, chain, "AdamW", 8),
    "regression": Problem(lambda: mlp(8, 64, 64, 1), function, "SGD", 32, nn.functional.mse_loss),
    "lstm": Problem(Recurrent, sums, "RMSprop", 32),
    "batches of 2": Problem(lambda: convolutions(nn.Identity), digits, "SGD", 2),
    "frozen parts": Problem(fine_tuned, digits, "AdamW", 32),
    "noisy labels": Problem(lambda: mlp(196, 64, 10), noisy, "SGD", 32),
    "deep and narrow": Problem(lambda: mlp(196, *[24] * 8, 10), digits, "AdamW", 32),
    "group norm": Problem(lambda: convolutions(group_norm), digits, "RMSprop", 16),
    "mobilenet": Problem(mobilenet, lambda: digits(108), "AdamW", 16),
    "embedding": Problem(bag, words, "SGD", 32),
    "autoencoder": Problem(autoencoder, themselves, "RMSprop", 32, nn.functional.mse_loss),
    "imbalanced": Problem(lambda: convolutions(nn.BatchNorm2d), imbalanced, "SGD", 32),
}


def trained(problem: Problem, model: nn.Module, data: Splits, lr: float, order: int) -> float:
    """The validation loss after a training at a constant learning rate, from the model's weights;
    infinite where it is not finite."""
    model = deepcopy(model)
    optimizer, (x, y), (vx, vy) = problem.optimized(model, lr), *data
    torch.manual_seed(order)
    parts: list[Tensor] = []
    while len(parts) < STEPS:
        parts += torch.randperm(len(x)).split(problem.batch)[: len(x) // problem.batch]
    for part in parts[:STEPS]:
        optimizer.zero_grad()
        problem.loss_fn(model(x[part]), y[part]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        loss = float(problem.loss_fn(model(vx), vy))
    return loss if np.isfinite(loss) else np.inf


def measured(name: str) -> Iterator[tuple[FindResult, float, float, float]]:
    """For each draw: the answer, its loss, the best loss of the grid and where that is."""
    problem = PROBLEMS[name]
    data = problem.data()
    train, val = (TensorDataset(*split) for split in data)
    low, high = RANGES[problem.optimizer]
    grid = np.logspace(low, high, 3 * (high - low) + 1)
    for draw in DRAWS:
        torch.manual_seed(draw)
        model = problem.make()

        def mean(lr: float, model: nn.Module = model) -> float:
            return float(np.mean([trained(problem, model, data, lr, order) for order in ORDERS]))

        losses = [mean(lr) for lr in grid]
        found = lrbench.find(
            model, problem.loss_fn, DataLoader(train, problem.batch, shuffle=True, drop_last=True),
            problem.optimized(model, 1e-3), val_loader=DataLoader(val, 100),
            seeds=range(3 * draw, 3 * draw + 3), max_stable=False,
        )  # fmt: skip
        at = np.nan if found.lr is None else mean(found.lr)
        yield found, at, min(losses), float(grid[int(np.argmin(losses))])


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    print(f"{'problem':<16}{'optimizer':<10}{'answers':<26}{'best of the grid':<26}{'worst':>6}")
    for name in names or PROBLEMS:
        rows = list(measured(name))
        answers = " ".join("none" if f.lr is None else f"{f.lr:.2g}" for f, *_ in rows)
        best = " ".join(f"{lr:.2g}" for *_, lr in rows)
        worst = max(at / lowest for _, at, lowest, _ in rows)
        print(f"{name:<16}{PROBLEMS[name].optimizer:<10}{answers:<26}{best:<26}{worst:>6.2f}")
        reasons = dict.fromkeys(reason for f, *_ in rows for reason in f.reasons)
        print("".join(f"  {reason}\n" for reason in reasons), end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
