"""What is lost by training a whole schedule at the answer of `lrbench.find` for it.

`python scheduled.py [PROBLEM ...]`, all where none are named. Problems are those of `untuned.py`,
trained for 20 epochs under `warmup(5%) + cosine`. The truth is the validation loss at the end at
three base learning rates per decade, a mean over two draws of weights and order. For three other
draws: one `lrbench.find` with that schedule and length, and what other tools read off one sweep of
the same draw. Regret is the loss at an answer, read off the grid in log LR, over its lowest; the
worst of the three is shown. About half a minute a problem.

The rules of others: pytorch-lr-finder 0.2.2 (steepest descent by index of the average with weight
0.05, without the first 10 and the last 5 points) and fastai 2.8 (average with weight 0.02, freed of
its start, without the first tenth and the last 5 points): valley, slide, minimum / 10, steep.
"""

import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from untuned import PROBLEMS, Problem, Splits

import lrbench
from lrbench.rangetest.result import FindResult
from lrbench.schedules import parse

SCHEDULE, EPOCHS = "warmup(5%) + cosine", 20
TRUTH, DRAWS = (901, 902), range(3)
GRIDS = {
    "regression": (-4, -1.67),
    "noisy labels": (-2.67, 0),
    "embedding": (-1, 1.67),
    "deep and narrow": (-4, -1.33),
    "frozen parts": (-4, -1),
    "bag, adamw": (-3.33, -0.67),
    "imbalanced": (-3, 0),
}
OWN = {
    "bag, adamw": Problem(PROBLEMS["embedding"].make, PROBLEMS["embedding"].data, "AdamW", 32),
}
Floats = np.ndarray


def average(losses: Sequence[float], weight: float, *, freed: bool) -> Floats:
    """The exponential average, from the first loss or freed of its start at 0."""
    found, value = [], 0.0 if freed else losses[0]
    for step, loss in enumerate(losses, 1):
        value += weight * (loss - value)
        found.append(value / (1 - (1 - weight) ** step) if freed else value)
    return np.array(found)


def valley(lrs: Floats, y: Floats) -> float:
    longest = [1] * len(y)
    for i in range(len(y)):
        longest[i] = max([1, *(longest[j] + 1 for j in range(i) if y[j] > y[i])])
    end = int(np.argmax(longest))
    start = end - longest[end]
    third = (end - start) / 3
    return float(lrs[start + int(third) + int(third / 2)])


def slide(lrs: Floats, y: Floats) -> float:
    slope, right, left, answer = np.gradient(y), -1, -16, lrs[-16]
    while left >= -len(y) and abs(slope[right] - slope[left]) > 0.005:
        answer = lrs[left]
        right, left = right - 1, left - 1
    return float(answer)


def steep(lrs: Floats, y: Floats) -> float:
    return float(lrs[int(np.argmin(np.diff(y) / np.diff(np.log(lrs))))])


FASTAI: dict[str, Callable[[Floats, Floats], float]] = {
    "valley": valley,
    "slide": slide,
    "minimum / 10": lambda lrs, y: float(lrs[int(np.argmin(y))]) / 10,
    "steep": steep,
}


def peers(found: FindResult) -> dict[str, float]:
    """What other tools read off the sweep of the first seed, stopped by their own rules."""
    points = [point for point in found.curve if point.seed == found.curve[0].seed]
    lrs = np.array([point.lr for point in points])
    losses = [point.loss if point.loss is not None else 1e9 for point in points]

    def cut(y: Floats, times: float) -> int:
        over = np.flatnonzero(y > times * np.minimum.accumulate(y))
        return int(over[0]) + 1 if len(over) else len(y)

    mine = average(losses, 0.05, freed=False)
    mine = mine[: cut(mine, 5)][10:-5]
    answers = {"pytorch-lr-finder": float(lrs[10:][int(np.argmin(np.gradient(mine)))])}
    theirs = average(losses, 0.02, freed=True)
    end = cut(theirs, 4)
    kept = slice(10, end - 5)
    return answers | {f"fastai {k}": rule(lrs[kept], theirs[kept]) for k, rule in FASTAI.items()}


def trained(
    problem: Problem, data: Splits, lr: float, seed: int, spec: str = SCHEDULE, steps: int = 0
) -> float:
    """The validation loss at the end of the run, or of so many `steps` that stand for it, evenly
    spaced; infinite where it is not finite."""
    torch.manual_seed(seed)
    model = problem.make()
    optimizer, (x, y), (vx, vy) = problem.optimized(model, lr), *data
    per_epoch = len(x) // problem.batch
    whole = EPOCHS * per_epoch
    table = parse(spec).table(lr=lr, steps=whole, steps_per_epoch=per_epoch)
    count = steps or whole
    for step in range(count):
        if step % per_epoch == 0:
            parts = torch.randperm(len(x)).split(problem.batch)
        for group in optimizer.param_groups:
            group["lr"] = table[int((step + 0.5) * whole / count)]
        optimizer.zero_grad()
        part = parts[step % per_epoch]
        problem.loss_fn(model(x[part]), y[part]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        loss = float(problem.loss_fn(model(vx), vy))
    return loss if np.isfinite(loss) else np.inf


def answers(problem: Problem, data: Splits, draw: int) -> tuple[FindResult, dict[str, float]]:
    """The range test of a draw, and the learning rates to be judged, by name."""
    torch.manual_seed(draw)
    model = problem.make()
    train, val = (TensorDataset(*split) for split in data)
    found = lrbench.find(
        model, problem.loss_fn, DataLoader(train, problem.batch, shuffle=True, drop_last=True),
        problem.optimized(model, 1e-3), val_loader=DataLoader(val, 100), schedule=SCHEDULE,
        epochs=EPOCHS, seeds=range(3 * draw, 3 * draw + 3), verify=True, max_stable=True,
        start_lr=1e-6,
    )  # fmt: skip
    named = {"lrbench find": found.lr, "sweep x 1": found.lr_sweep}
    return found, {k: np.nan if lr is None else lr for k, lr in named.items()} | peers(found)


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    for name in names or GRIDS:
        problem = {**PROBLEMS, **OWN}[name]
        data = problem.data()
        low, high = GRIDS[name]
        grid = np.logspace(low, high, round(3 * (high - low)) + 1)
        losses = np.array([np.mean([trained(problem, data, lr, s) for s in TRUTH]) for lr in grid])
        losses = np.minimum(losses, 100 * losses.min())
        at = grid[int(np.argmin(losses))]
        print(f"{name}, {problem.optimizer}: best loss {losses.min():.3f} at {at:.2g}")
        rows = [answers(problem, data, draw) for draw in DRAWS]
        for key in rows[0][1]:
            lrs = [row[key] for _, row in rows]
            at_answer = np.interp(np.log10(lrs), np.log10(grid), losses) / losses.min()
            texts = " ".join("none" if np.isnan(lr) else f"{lr:.2g}" for lr in lrs)
            print(f"  {key:<20}{texts:<30}{np.nanmax(at_answer):>7.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
