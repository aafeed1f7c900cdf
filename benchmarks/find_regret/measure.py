"""What is lost by training at the range test's answer.

`python measure.py [FINDS [NETWORK:OPTIMIZER ...]]`, all ten problems where none are named.
For small networks and two optimizers: the test loss after 64 steps at 19 constant learning
rates (mean of 10 seeds that no range test uses), then FINDS range tests of 3 seeds each, all seeds
different. Regret is the loss at an answer, read off that grid in log LR, over the grid's best.
Prints one table; a problem takes about 5 minutes on a free core for 10 range tests. The rules of
the sweep were chosen on `lenet` and `conv-bn`, how the short trainings are judged on `deep-bn` with
SGD; `colour-bn` and `residual-bn` had no part in anything.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import nn

from lrbench.data import load
from lrbench.data.split import stratified
from lrbench.engine.clock import Row
from lrbench.engine.train import steps
from lrbench.execute import Host, Workbench
from lrbench.optimizers import build
from lrbench.options import FindSpec, Recipe
from lrbench.rangetest.find import range_test
from lrbench.rangetest.groups import GroupLrs
from lrbench.rangetest.result import FindResult
from lrbench.rangetest.sweep import Setup, batches
from lrbench.tasks.images import ImageTask

STEPS = 64
GRID = np.logspace(-4, 0.5, 19)
TRUTH_SEEDS = range(900, 910)
FIRST_SEED = 500


def conv_bn() -> nn.Module:
    """Two 3x3 convolutions with batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(784, 10),
    )  # fmt: skip


def deep_bn(channels: int = 1) -> nn.Module:
    """Four 3x3 convolutions, two of them strided, and a global mean instead of pooling."""

    def block(before: int, after: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(after), nn.ReLU()]

    return nn.Sequential(
        *block(channels, 16, 2), *block(16, 16, 1), *block(16, 32, 2), *block(32, 32, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


class Residual(nn.Module):
    """Two 3x3 convolutions with batch normalisation, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        parts = [[nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                  nn.BatchNorm2d(channels), nn.ReLU()] for _ in range(2)]  # fmt: skip
        self.body = nn.Sequential(*parts[0], *parts[1][:2])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.relu(images + self.body(images))


def residual_bn() -> nn.Module:
    """A strided stem, two residual blocks with a pooling between them, a global mean."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, 2, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        Residual(12), nn.MaxPool2d(2), Residual(12),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10),
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module] | None] = {
    "lenet": None,
    "conv-bn": conv_bn,
    "deep-bn": deep_bn,
    "colour-bn": partial(deep_bn, 3),
    "residual-bn": residual_bn,
}


class OwnNetwork(ImageTask):
    """The recipe's task with another network."""

    make: Callable[[], nn.Module]

    def model(self, seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return type(self).make()


def task_of(network: str, recipe: Recipe) -> Any:
    """`colour-bn` learns 5,000 images of CIFAR-10 (as JPEG files), the others mnist5k."""
    if network != "colour-bn":
        return Workbench(recipe, Host(device="cpu", threads=1)).final_task
    folder = os.environ["LRBENCH_DATA_DIR"] + "/cifar10-jpeg"
    data = load(f"folder:{folder}")
    _, kept = stratified(data.train_labels, 0.1)
    _, shown = stratified(data.test_labels, 0.2)
    part = replace(
        data,
        train_images=data.train_images[kept],
        train_labels=data.train_labels[kept],
        test_images=data.test_images[shown],
        test_labels=data.test_labels[shown],
    )
    return ImageTask(part, recipe, torch.device("cpu"), with_test=True)


def setup_of(network: str, optimizer: str) -> Setup:
    recipe = Recipe(optimizer=optimizer, weight_decay=5e-4 if optimizer == "sgd" else 0.0)
    task = task_of(network, recipe)
    make = NETWORKS[network]
    if make is not None:
        task.__class__ = type("Own", (OwnNetwork,), {"make": staticmethod(make)})

    def make_optimizer(model: nn.Module) -> tuple[torch.optim.Optimizer, GroupLrs]:
        made, groups = build(recipe, model, 1e-3)
        return made, lambda lr: tuple(group.lr(lr) for group in groups)

    return Setup(task, make_optimizer)


def held_out(setup: Setup, lr: float, seed: int) -> float:
    """The test loss after training at a constant learning rate; no range test reads it."""
    model = setup.task.model(seed)
    optimizer, group_lrs = setup.make_optimizer(model)
    torch.manual_seed(seed)
    rows = repeat(Row(group_lrs(lr)), STEPS)
    for _ in steps(setup.task, model, optimizer, batches(setup.task, seed), rows):
        pass
    return setup.task.evaluate(model, "test")["loss"]


def find(setup: Setup, number: int, **changes: Any) -> FindResult:
    seeds = tuple(FIRST_SEED + 3 * number + i for i in range(3))
    spec = FindSpec(seeds=seeds, verify=True, max_stable=False, verify_steps=STEPS, **changes)
    *_, result = range_test(spec, setup, {})
    assert isinstance(result, FindResult)
    return result


def row(name: str, lrs: Sequence[float | None], losses: np.ndarray) -> str:
    logs = np.log10([lr for lr in lrs if lr is not None])
    regrets = np.interp(logs, np.log10(GRID), losses) / losses.min()
    return (
        f"  {name:<22}{10 ** np.median(logs):>9.4f}{np.ptp(logs):>9.2f}"
        f"{np.median(regrets):>9.2f}{regrets.max():>8.2f}{len(lrs) - len(logs):>8}"
    )


say = partial(print, flush=True)


def main() -> None:
    torch.set_num_threads(1)
    finds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    say(f"  {'answer':<22}{'median':>9}{'decades':>9}{'regret':>9}{'worst':>8}{'none':>8}")
    names = sys.argv[2:] or [f"{network}:{o}" for network in NETWORKS for o in ("sgd", "adam")]
    for network, optimizer in (name.split(":") for name in names):
        setup = setup_of(network, optimizer)
        losses = np.array(
            [np.mean([held_out(setup, lr, seed) for seed in TRUTH_SEEDS]) for lr in GRID]
        )
        best = GRID[int(losses.argmin())]
        say(f"{network}, {optimizer}: best loss {losses.min():.3f} at {best:.4f}")
        results = [find(setup, number) for number in range(finds)]
        say(row("lr (verified)", [r.lr for r in results], losses))
        say(row("lr_sweep", [r.lr_sweep for r in results], losses))
        for rule in results[0].rules:
            say(row(f"rule {rule}", [r.rules[rule] for r in results], losses))


if __name__ == "__main__":
    main()
