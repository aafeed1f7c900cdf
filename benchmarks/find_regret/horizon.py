"""How the best base learning rate of a run follows from that of shorter trainings of its shape.

`python horizon.py [PROBLEM ...]`. Small networks, SGD and AdamW, 1,600 or 3,500 digits, trained for
20 epochs: the validation loss at nine base learning rates after the whole run, and after trainings
of 64, 128 and 256 steps under the same schedule. Regret is the loss of the whole run, read off in
log LR, over its lowest, at the best of the short trainings (a parabola's minimum), as it is and
times the root of the ratio of lengths. What `lrbench.find` does with a schedule was chosen on these
problems; several minutes each.
"""

import sys

import numpy as np
import torch
from scheduled import EPOCHS, trained
from torch import nn
from untuned import Problem, convolutions, digits, group_norm, mlp

LENGTHS = (64, 128, 256)
SPECS = ("cosine", "warmup(5%) + cosine")
RANGES = {"SGD": (-2.33, 0.33), "AdamW": (-3.67, -1)}
NETWORKS = {
    "mlp": (lambda: mlp(196, 64, 10), digits),
    "conv-bn": (lambda: convolutions(nn.BatchNorm2d), digits),
    "mlp, 3500": (lambda: mlp(196, 64, 10), lambda: digits(3500)),
    "conv-gn, 3500": (lambda: convolutions(group_norm), lambda: digits(3500)),
}


def best(logs: np.ndarray, losses: np.ndarray) -> float:
    """log10 of the learning rate where the parabola about the lowest loss is lowest."""
    i = int(np.argmin(losses))
    if i in (0, len(logs) - 1):
        return float(logs[i])
    low = np.minimum(losses, losses.min() + 3 * np.sort(losses - losses.min())[1])
    a, b, _ = np.polyfit(logs[i - 1 : i + 2] - logs[i], low[i - 1 : i + 2], 2)
    return float(logs[i] + (np.clip(-b / (2 * a), -1 / 3, 1 / 3) if a > 0 else 0.0))


def row(
    name: str, steps: int, whole: int, logs: np.ndarray, short: np.ndarray, run: np.ndarray
) -> str:
    at = best(logs, short)
    regrets = [
        np.interp(at + power * np.log10(steps / whole), logs, run) / run.min() for power in (0, 0.5)
    ]
    return f"{name:<40}{steps:>6}{10**at:>9.2g}{regrets[0]:>9.2f}{regrets[1]:>9.2f}"


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    print(f"{'problem':<40}{'steps':>6}{'best at':>9}{'as it is':>9}{'x root':>9}")
    for network, kind in ((n, k) for n in names or NETWORKS for k in RANGES):
        make, data_of = NETWORKS[network]
        problem, data = Problem(make, data_of, kind, 32), data_of()
        grid = np.logspace(*RANGES[kind], 9)
        whole = EPOCHS * (len(data[0][0]) // problem.batch)
        for spec in SPECS:
            curves = {
                steps: np.array([np.mean([trained(problem, data, lr, seed, spec, steps)
                                          for seed in (0, 1)]) for lr in grid])
                for steps in (*LENGTHS, 0)
            }  # fmt: skip
            for steps in LENGTHS:
                text = f"{network}, {kind}, {spec}"
                found = row(text, steps, whole, np.log10(grid), curves[steps], curves[0])
                print(found, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
