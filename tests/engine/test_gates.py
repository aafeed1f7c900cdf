"""What speed must not cost: learning rates as torch has them, bits that neighbours do not change,
bookkeeping that nobody notices."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.bench import reference
from lrbench.data import load
from lrbench.data.split import stratified
from lrbench.engine.train import begin, steps, train
from lrbench.experiment import Recipe, TrialSpec
from lrbench.models import build
from lrbench.records import EpochRecord, StepRecord, TrialEnd
from lrbench.run.store import Run
from lrbench.tasks.images import ImageTask
from tests.data.makers import image_data
from tests.toys import Line, trial

CPU = torch.device("cpu")


def by_epoch(make: Any) -> Any:
    """torch's learning rates of 3 epochs of 4 steps, stepped once an epoch."""

    def lrs(optimizer: torch.optim.Optimizer) -> Iterator[float]:
        scheduler = make(optimizer)
        for _ in range(3):
            yield from [optimizer.param_groups[0]["lr"]] * 4
            optimizer.step()
            scheduler.step()

    return lrs


def by_step(make: Any) -> Any:
    def lrs(optimizer: torch.optim.Optimizer) -> Iterator[float]:
        scheduler = make(optimizer)
        for step in range(12):
            yield optimizer.param_groups[0]["lr"]
            optimizer.step()
            if step < 11:
                scheduler.step()

    return lrs


torch_lrs = torch.optim.lr_scheduler
SCHEDULES = [
    ("StepLR(step_size=1, gamma=0.5)", by_epoch(lambda o: torch_lrs.StepLR(o, 1, 0.5))),
    ("ExponentialLR(gamma=0.7)", by_epoch(lambda o: torch_lrs.ExponentialLR(o, 0.7))),
    ("CosineAnnealingLR(T_max=3)", by_epoch(lambda o: torch_lrs.CosineAnnealingLR(o, 3))),
    ("OneCycleLR(max_lr=0.2)", by_step(lambda o: torch_lrs.OneCycleLR(o, 0.2, total_steps=12))),
    ("cosine", by_step(lambda o: torch_lrs.CosineAnnealingLR(o, 12))),
    ("linear", by_step(lambda o: torch_lrs.LinearLR(o, 1.0, 0.0, 12))),
]


@pytest.mark.parametrize(("schedule", "torchs"), SCHEDULES, ids=[name for name, _ in SCHEDULES])
def test_the_lr_of_every_step_is_torchs_is_used_and_is_recorded(
    schedule: str, torchs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    expected = list(torchs(torch.optim.SGD([weight], lr=0.1, momentum=0.9)))
    used: list[float] = []
    original = torch.optim.SGD.step

    def spy(self: torch.optim.SGD, *args: Any, **kwargs: Any) -> Any:
        used.append(self.param_groups[0]["lr"])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    spec = trial(schedule=schedule, recipe=Recipe(momentum=0.9))
    found = list(train(Line(), begin(Line(), spec), record_steps=True))
    assert used == [r.lr for r in found if isinstance(r, StepRecord)]
    assert used == pytest.approx(expected, rel=1e-9, abs=1e-15)


def digits() -> ImageTask:
    recipe = Recipe(batch_size=16, val_fraction=0.2)
    return ImageTask(image_data(80), recipe, CPU, with_test=True)


def group() -> list[TrialSpec]:
    """Three neighbours; the learning rate of the second makes it overflow."""
    recipe = Recipe(batch_size=16, val_fraction=0.2)
    return [
        TrialSpec(recipe=recipe, schedule=s, lr=lr, seed=seed, stage="final", epochs=3)
        for s, lr, seed in (("cosine", 0.05, 0), ("constant", 1e30, 1), ("onecycle", 0.02, 2))
    ]


def bits(records: Sequence[Any]) -> list[Any]:
    """The records without times."""
    timeless = {"train_s": 0.0, "throughput_img_s": 0.0}
    return [replace(r, **timeless) for r in records]


def test_the_same_bits_alone_in_a_group_and_in_another_order() -> None:
    trials = group()
    alone = {spec.id: bits(list(train(task, begin(task, spec))))
             for spec in trials for task in [digits()]}  # fmt: skip
    assert [alone[spec.id][-1].status for spec in trials] == ["done", "diverged", "done"]
    task = digits()
    for order in (trials, trials[::-1]):
        for spec in order:
            assert bits(list(train(task, begin(task, spec)))) == alone[spec.id]


def test_the_same_bits_when_trials_take_turns_epoch_by_epoch() -> None:
    trials, task = group(), digits()
    alone = {spec.id: bits(list(train(task, begin(task, spec)))) for spec in trials}
    trainings = {spec.id: train(task, begin(task, spec)) for spec in trials}
    found: dict[str, list[Any]] = {key: [] for key in trainings}
    while trainings:
        for key in list(trainings):
            record = next(trainings[key], None)
            if record is None:
                del trainings[key]
            else:
                found[key].append(record)
    assert {key: bits(records) for key, records in found.items()} == alone


MNIST_STEPS = 421  # 54,000 images in batches of 128


def cpu_s(work: Any, times: int = 5) -> float:
    """The least CPU time of some tries."""
    tries = []
    for _ in range(times):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


class Long(Line):
    steps_per_epoch = MNIST_STEPS


def test_bookkeeping_costs_less_than_5_ms_an_epoch_and_2_percent_of_lenet(tmp_path: Path) -> None:
    """An epoch of full MNIST: learning rates of its steps put into the optimizer, its record,
    the journal. Against the CPU time of LeNet's own steps."""
    spec = trial(schedule="warmup(5%) + cosine", recipe=Recipe(), epochs=5)
    training = begin(Long(), spec)
    run = Run(tmp_path)
    run.begin(spec)
    record = EpochRecord(spec.id, 1, 421, 0.1, 0.1, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0)

    def epoch() -> None:
        for row in training.clock.rows(2):
            row.apply(training.optimizer)
        list(training.clock.observe(2, {"train_loss": 0.5}))
        run.append(spec.id, [record])

    bookkeeping = cpu_s(epoch)
    assert bookkeeping < 5e-3
    task = ImageTask(load("mnist5k"), Recipe(), CPU, with_test=False)
    lenet = begin(task, trial(recipe=Recipe()))
    batches = list(task.train_batches(0, 0))[:4]
    rows = lenet.clock.rows(0)
    step = cpu_s(lambda: list(steps(task, lenet.model, lenet.optimizer, batches, rows))) / 4
    assert bookkeeping < 0.02 * MNIST_STEPS * step


FIRST_STEP = """
import os, sys, time
import torch, torchvision, pandas, scipy.stats, matplotlib, rich.console
from lrbench.__main__ import run
def first(*args, **kwargs):
    print(time.process_time() - began, file=sys.stderr)
    os._exit(0)
torch.optim.SGD.step = first
began = time.process_time()
run(["compare", "--quiet", "--threads", "1", "--out", sys.argv[1]])
"""


def test_compare_takes_its_first_step_within_2_s_of_its_imports(tmp_path: Path) -> None:
    """In CPU time, which other load on the machine does not stretch."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_STEP, str(tmp_path / "run")], capture_output=True, text=True
    )
    assert 0 < float(done.stderr.splitlines()[-1]) < 2.0, done.stderr


@pytest.mark.soak
def test_final_accuracy_is_within_the_seed_spread_of_the_loop_by_hand() -> None:
    """LeNet on mnist5k, 3 epochs, 6 seeds each: the means differ by no more than three standard
    errors of their difference."""
    seeds, epochs, recipe = range(6), 3, Recipe()
    data = load("mnist5k")
    task = ImageTask(data, recipe, CPU, with_test=True)
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
