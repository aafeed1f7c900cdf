"""What is lost by training at the range test's answer: `python measure.py [FINDS]`.

For two small networks and two optimizers on mnist5k: the held-out loss after 64 steps at 19
constant learning rates (mean of 3 seeds that no range test uses), then FINDS range tests of 3
seeds each, all seeds different. Regret is the loss at an answer, read off that grid in log LR,
over the grid's best. Prints one table; takes about 10 minutes on one core for 10 range tests.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import nn

from lrbench.engine.clock import Row
from lrbench.engine.train import steps
from lrbench.execute import Host, Workbench
from lrbench.experiment import FindSpec, Recipe
from lrbench.optimizers import build
from lrbench.rangetest.find import range_test
from lrbench.rangetest.result import FindResult
from lrbench.rangetest.sweep import GroupLrs, Setup, batches
from lrbench.tasks.images import ImageTask

STEPS = 64
GRID = np.logspace(-4, 0.5, 19)
TRUTH_SEEDS = (900, 901, 902)
FIRST_SEED = 500


class ConvBN(ImageTask):
    """Two 3x3 convolutions with batch normalisation instead of the recipe's network."""

    def model(self, seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return nn.Sequential(
                nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Linear(784, 10),
            )  # fmt: skip


def setup_of(network: str, optimizer: str) -> Setup:
    recipe = Recipe(optimizer=optimizer, weight_decay=5e-4 if optimizer == "sgd" else 0.0)
    bench = Workbench(recipe, Host(device="cpu", threads=1))
    task: Any = bench.tuning_task
    if network == "conv-bn":
        task.__class__ = ConvBN

    def make_optimizer(model: nn.Module) -> tuple[torch.optim.Optimizer, GroupLrs]:
        made, groups = build(recipe, model, 1e-3)
        return made, lambda lr: tuple(group.lr(lr) for group in groups)

    return Setup(task, make_optimizer)


def held_out(setup: Setup, lr: float, seed: int) -> float:
    """The validation loss after training at a constant learning rate."""
    model = setup.task.model(seed)
    optimizer, group_lrs = setup.make_optimizer(model)
    torch.manual_seed(seed)
    rows = repeat(Row(group_lrs(lr)), STEPS)
    for _ in steps(setup.task, model, optimizer, batches(setup.task, seed), rows):
        pass
    return setup.task.evaluate(model, "val")["loss"]


def find(setup: Setup, number: int) -> FindResult:
    seeds = tuple(FIRST_SEED + 3 * number + i for i in range(3))
    spec = FindSpec(seeds=seeds, verify=True, max_stable=False, verify_steps=STEPS)
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


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    torch.set_num_threads(1)
    finds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    say(f"  {'answer':<22}{'median':>9}{'decades':>9}{'regret':>9}{'worst':>8}{'none':>8}")
    for network in ("lenet", "conv-bn"):
        for optimizer in ("sgd", "adam"):
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
