"""The loop by hand: frozen, and the same training as the engine's."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import transforms

from lrbench.bench import reference, tuned
from lrbench.data import ImageData
from lrbench.data.augment import draw
from lrbench.data.image_data import PHOTOS, UNCHANGED
from lrbench.data.split import stratified
from lrbench.engine.clock import ramp
from lrbench.engine.train import steps
from lrbench.experiment import Recipe
from lrbench.models import build
from lrbench.optimizers import build as build_optimizer
from lrbench.tasks.images import ImageTask
from tests.data.makers import image_data

CPU = torch.device("cpu")
FROZEN = "012cfebb21358212863b7acd29d64a04f857d563f37b15c6b6780306c5d0bd77"


def test_the_reference_is_frozen() -> None:
    """Old figures were measured against this very file: improve `tuned.py` instead."""
    assert reference.__file__ is not None
    assert hashlib.sha256(Path(reference.__file__).read_bytes()).hexdigest() == FROZEN


@pytest.mark.parametrize(("model", "shape"), [("lenet", (1, 28, 28)), ("resnet8", (3, 32, 32))])
def test_ten_steps_are_those_of_the_reference_loop(model: str, shape: Any) -> None:
    """Same batches in the same order: losses agree to 1e-4, weights to 1e-4 of their size. The
    kernels differ (memory format, fused optimizer), so the last bits may."""
    recipe = Recipe(model=model, batch_size=16, val_fraction=0.1)
    task = ImageTask(image_data(200, shape), recipe, CPU, with_test=False)
    batches = list(task.train_batches(0, 0))[:10]
    ours, theirs = task.model(0), by_seed(model, shape)
    optimizer, _ = build_optimizer(recipe, ours, 0.02)
    lrs = [0.02 * (1 - step / 10) for step in range(10)]
    found = [step.loss.item() for step in steps(task, ours, optimizer, batches, ramp(lrs))]

    plain = torch.optim.SGD(theirs.parameters(), 0.02, momentum=0.9, weight_decay=5e-4)
    decay = torch.optim.lr_scheduler.LambdaLR(plain, lambda step: 1 - step / 10)
    expected = list(reference.train_epoch(theirs, plain, decay, batches))
    assert len(found) == 10
    assert found == pytest.approx(expected, rel=1e-4)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (a - b).norm() <= 1e-4 * b.norm() + 1e-7


def by_seed(model: str, shape: Any) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(model, shape, 4)


def kept_part(data: ImageData, fraction: float) -> ImageData:
    kept, _ = stratified(data.train_labels, fraction)
    return replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])


def test_the_reference_sees_the_engines_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the engine's offsets and mirrors forced upon torchvision's transforms."""
    data = image_data(20, (3, 32, 32), augmentation=PHOTOS)
    recipe = Recipe(batch_size=16, val_fraction=0.1)
    task = ImageTask(data, recipe, CPU, with_test=False)
    images, labels = next(iter(task.train_batches(5, 1)))
    chosen = draw(16, PHOTOS, 5, 1)
    mine = kept_part(data, 0.1)
    transform = reference.transform_of(data, PHOTOS)
    plain = reference.PilImages(mine.train_images, mine.train_labels, transform)
    for place, index in enumerate(chosen.index.tolist()):
        offsets = (int(chosen.top[place]), int(chosen.left[place]), 32, 32)
        luck = torch.tensor([0.0 if chosen.mirror[place] else 1.0])
        monkeypatch.setattr(
            transforms.RandomCrop, "get_params", staticmethod(lambda *_, o=offsets: o)
        )
        monkeypatch.setattr(torch, "rand", lambda *_, x=luck: x)
        expected, label = plain[index]
        monkeypatch.undo()
        torch.testing.assert_close(images[place], expected, rtol=1e-5, atol=1e-5)
        assert int(labels[place]) == label


@pytest.mark.parametrize("home", [reference, tuned])
def test_loaders_by_hand_give_an_epoch_of_augmented_images(home: Any) -> None:
    data = image_data(40, (3, 32, 32), augmentation=PHOTOS)
    first, again = (list(home.train_loader(data, 16, 0, "cpu")) for _ in range(2))
    assert [tuple(images.shape) for images, _ in first] == [(16, 3, 32, 32)] * 2
    assert not torch.equal(first[0][0], again[0][0])


def test_the_tuned_loader_cuts_what_torchvision_would(monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_data(8, (3, 32, 32), augmentation=PHOTOS)
    monkeypatch.setattr("lrbench.bench.tuned.random.randint", lambda low, high: 3)
    monkeypatch.setattr("lrbench.bench.tuned.random.random", lambda: 0.0)
    images, _ = tuned.Slices(data).__getitems__([2, 5])
    still = reference.transform_of(data, UNCHANGED)
    for place, index in enumerate((2, 5)):
        mean, std = still.transforms[-1].mean, still.transforms[-1].std
        padded = transforms.functional.pad(torch.tensor(data.train_images[index]), [4] * 4)
        cut = transforms.functional.hflip(transforms.functional.crop(padded, 3, 3, 32, 32))
        expected = transforms.functional.normalize(cut.float() / 255, mean, std)
        torch.testing.assert_close(images[place], expected, rtol=1e-5, atol=1e-5)


def test_a_short_training_by_hand_learns() -> None:
    data = image_data(64)
    model = by_seed("lenet", (1, 28, 28))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    constant = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0, 1)
    batches = list(islice(reference.train_loader(data, 16, 0, "cpu"), 1))
    losses = [
        loss
        for _ in range(12)
        for loss in reference.train_epoch(model, optimizer, constant, batches)
    ]
    assert losses[-1] < losses[0]
    assert 0 <= score(model, data) <= 1


def score(model: torch.nn.Module, data: ImageData) -> float:
    batches = reference.plain_loader(data, data.test_images, data.test_labels, 0, "cpu")
    return reference.accuracy(model, batches)
