"""The engine against torch's schedulers and against a loop written by hand."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, StepLR

from benchmarks import reference
from lrbench.data import load
from lrbench.data.split import stratified
from lrbench.engine.train import begin, train
from lrbench.experiment import Recipe, TrialSpec
from lrbench.models import build
from lrbench.records import StepRecord, TrialEnd
from lrbench.tasks.images import ImageTask
from tests.toys import Line, trial

SCHEDULES: dict[str, Any] = {  # over 3 epochs of 4 steps
    "StepLR(step_size=1, gamma=0.5)": lambda o: StepLR(o, 4, 0.5),
    "OneCycleLR(max_lr=0.2)": lambda o: OneCycleLR(o, 0.2, total_steps=12),
    "cosine": lambda o: CosineAnnealingLR(o, 12),
    "linear": lambda o: LinearLR(o, 1.0, 0.0, 12),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_lr_of_every_step_is_torchs_is_used_and_is_recorded(
    schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[float] = []
    original = torch.optim.SGD.step

    def spy(self: torch.optim.SGD, *args: Any, **kwargs: Any) -> Any:
        used.append(self.param_groups[0]["lr"])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = SCHEDULES[schedule](optimizer)
    for step in range(12):
        optimizer.step()
        if step < 11:  # OneCycleLR has no more
            scheduler.step()
    expected, used[:] = used[:], []
    spec = trial(schedule=schedule, recipe=Recipe(momentum=0.9))
    found = list(train(Line(), begin(Line(), spec), record_steps=True))
    assert used == [r.lr for r in found if isinstance(r, StepRecord)]
    assert used == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.soak
def test_final_accuracy_is_within_the_seed_spread_of_the_loop_by_hand() -> None:
    """LeNet on mnist5k, 3 epochs, 6 seeds each: the means differ by no more than three standard
    errors of their difference."""
    seeds, epochs, recipe = range(6), 3, Recipe()
    data = load("mnist5k")
    task = ImageTask(data, recipe, torch.device("cpu"), with_test=True)
    ours = []
    for seed in seeds:
        spec = TrialSpec(
            recipe=recipe, schedule="cosine", lr=0.05, seed=seed, stage="final", epochs=epochs
        )
        *_, end = train(task, begin(task, spec))
        assert isinstance(end, TrialEnd) and end.test_accuracy is not None
        ours.append(end.test_accuracy)
    theirs = [by_hand(data, recipe, seed, epochs) for seed in seeds]
    spread = (statistics.variance(ours) + statistics.variance(theirs)) ** 0.5
    difference = statistics.mean(ours) - statistics.mean(theirs)
    assert abs(difference) <= 3 * spread / len(seeds) ** 0.5, (ours, theirs)


def by_hand(data: Any, recipe: Recipe, seed: int, epochs: int) -> float:
    torch.manual_seed(seed)
    kept, _ = stratified(data.train_labels, recipe.val_fraction)
    mine = replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])
    batches = reference.train_loader(mine, recipe.batch_size, 0, "cpu")
    model = build("lenet", image_shape=data.image_shape, classes=10)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(kept) // 128))
    for _ in range(epochs):
        for _ in reference.train_epoch(model, optimizer, decay, batches):
            pass
    tests = reference.plain_loader(data, data.test_images, data.test_labels, 0, "cpu")
    return reference.accuracy(model, tests)
