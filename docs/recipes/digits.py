"""Two halves of mnist5k: digits 0-5 to pre-train on, a few of 6-9 to fine-tune on."""

from __future__ import annotations

import numpy as np

from lrbench.data import load

FEW = 20  # training images of each digit that is fine-tuned on


def first() -> object:
    return _of(range(6), None)


def rest() -> object:
    return _of(range(6, 10), FEW)


def _of(digits: range, most: int | None) -> object:
    data = load("mnist5k")

    def split(images: np.ndarray, labels: np.ndarray, count: int | None) -> object:
        kept = np.concatenate([np.flatnonzero(labels == digit)[:count] for digit in digits])
        return images[kept], labels[kept] - digits[0]

    return (
        split(data.train_images, data.train_labels, most),
        split(data.test_images, data.test_labels, None),
    )


if __name__ == "__main__":
    import torch

    from lrbench.engine.train import begin, train
    from lrbench.execute import Host, Workbench
    from lrbench.options import Recipe, TrialSpec

    bench = Workbench(Recipe(dataset="digits:first"), Host(device="cpu", threads=1))
    trial = TrialSpec(
        recipe=bench.recipe, schedule="cosine", lr=0.05, seed=0, stage="final", epochs=5
    )
    training = begin(bench.final_task, trial)
    print(list(train(bench.final_task, training))[-1])
    torch.save(training.model.state_dict(), "first-digits.pt")
