"""What a sweep costs compared with the bare training loop: `python cost.py [ROUNDS]`.

CPU seconds (`time.process_time`) of 100 steps at batch 128, loop and sweep in turns in one process
with one thread: the least of all rounds, and the median of the ratios within a round. Both train on
the same resident tensors. Then all of `lrbench.find` (one seed, neither verification nor stable
limit), which also keeps and restores all state, smooths, grades and suggests; and the same with a
curve of validation losses, which takes one more batch a step.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import conv_bn
from torch import nn

from lrbench import find
from lrbench.options import Recipe
from lrbench.rangetest.api import borrowed
from lrbench.rangetest.sweep import sweep

STEPS, BATCH = 100, 128


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def bare(model: nn.Module, batches: list, optimizer: torch.optim.Optimizer) -> None:
    for x, y in islice(cycle(batches), STEPS):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


def alone(model: nn.Module, batches: list, optimizer: torch.optim.Optimizer) -> None:
    lrs = np.logspace(-7, -5, STEPS).tolist()
    with borrowed(model, nn.functional.cross_entropy, batches, optimizer, Recipe()) as setup:
        assert len(list(sweep(setup, 0, lrs))) == STEPS


def whole(
    model: nn.Module, batches: list, optimizer: torch.optim.Optimizer, **settings: Any
) -> None:
    result = find(
        model, nn.functional.cross_entropy, batches, optimizer,
        start_lr=1e-7, end_lr=1e-5, points=STEPS, seeds=1, verify=False, max_stable=False,
        **settings,
    )  # fmt: skip
    assert len(result.curve) == STEPS, "it blew up: the two did not do the same work"


def cpu_s(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for name, make in (("mlp", mlp), ("conv-bn", conv_bn)):
        torch.manual_seed(0)
        batches = [(torch.randn(BATCH, 1, 28, 28), torch.randint(10, (BATCH,))) for _ in range(30)]
        model = make()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
        ways = {
            "bare loop": partial(bare, model, batches, optimizer),
            "sweep": partial(alone, model, batches, optimizer),
            "find": partial(whole, model, batches, optimizer),
            "find, validation": partial(
                whole, model, batches, optimizer, val_loader=batches, val_loss=True
            ),
        }
        for way in ways.values():
            way()
        times = {way: [] for way in ways}
        for _ in range(rounds):
            for way, work in ways.items():
                times[way].append(cpu_s(work))
        report(name, times)


def report(name: str, times: dict[str, list[float]]) -> None:
    (_, plain), *others = times.items()
    print(f"{name}: bare loop {1e3 * min(plain):.1f} ms")
    for way, spent in others:
        ratio = median(after / before for before, after in zip(plain, spent, strict=True))
        print(
            f"  {way:<18} {1e3 * min(spent):7.1f} ms: {100 * (min(spent) / min(plain) - 1):+.1f} % "
            f"CPU time (median {100 * (ratio - 1):+.1f} %)"
        )


if __name__ == "__main__":
    main()
