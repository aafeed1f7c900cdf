"""The user's own loss and augmentation."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lrbench.data import load
from lrbench.errors import UsageError
from lrbench.options import Recipe
from lrbench.tasks.images import ImageTask, own_loss

CPU = torch.device("cpu")


def task(**changes: Any) -> ImageTask:
    recipe = Recipe(dataset="synthetic", model="mlp", batch_size=64, **changes)
    return ImageTask(load("synthetic"), recipe, CPU, with_test=True)


def test_the_loss_is_the_users_in_training_and_evaluation(own_pkg: Path) -> None:
    own = task(loss="own_pkg.parts:smooth")
    model = own.model(0)
    images, labels = next(own.train_batches(0, 0))
    loss, right = own.loss(model, (images, labels))
    expected = F.cross_entropy(model(images), labels, label_smoothing=0.1)
    torch.testing.assert_close(loss, expected)
    assert int(right) == int((model(images).argmax(1) == labels).sum())
    split = own._splits["test"]
    images, labels = split.plain(0, len(split))
    with torch.no_grad():
        expected = F.cross_entropy(model(images), labels, label_smoothing=0.1)
    assert own.evaluate(model, "test")["loss"] == pytest.approx(float(expected), rel=1e-5)


def test_a_class_of_torch_is_a_loss() -> None:
    own, plain = task(loss="torch.nn:CrossEntropyLoss"), task()
    model = plain.model(0)
    assert own.evaluate(model, "val") == pytest.approx(plain.evaluate(model, "val"))


class Weighed(torch.nn.CrossEntropyLoss):
    def __init__(self) -> None:
        super().__init__(weight=torch.tensor([1.0, 2.0]))


weighed = Weighed()


@pytest.mark.parametrize("name", ["Weighed", "weighed"])
def test_class_weights_of_a_loss_lie_where_the_images_are(name: str) -> None:
    elsewhere = torch.device("meta")
    for _ in range(2):  # the user's own is not moved
        loss = own_loss(f"{__name__}:{name}", 2, elsewhere)
    logits = torch.zeros(4, 2, device=elsewhere)
    assert loss(logits, torch.zeros(4, dtype=torch.int64, device=elsewhere)).device == elsewhere
    assert weighed.weight is not None and weighed.weight.device == CPU


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_pkg.parts:unreduced", r"it gives shape \[2\], not one number with a gradient"),
        ("own_pkg.parts:three", "missing 1 required positional argument"),
        ("own_pkg.parts:smoth", "did you mean smooth"),
    ],
)
def test_what_is_no_loss_is_one_line(own_pkg: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"--loss {name}: .*{words}"):
        task(loss=name)


def test_the_augmentation_gets_raw_images_and_the_epochs_generator(own_pkg: Path) -> None:
    own, plain = task(augment="own_pkg.parts:noise"), task(augment="none")
    images, labels = next(own.train_batches(3, 1))
    again, _ = next(own.train_batches(3, 1))
    other, _ = next(own.train_batches(3, 2))
    assert torch.equal(images, again)
    assert not torch.equal(images, other)
    untouched, same = next(plain.train_batches(3, 1))
    assert torch.equal(labels, same)
    noise = (images - untouched) * own._train.std
    assert float(noise.std()) == pytest.approx(1.0, abs=0.02)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    model = plain.model(0)
    assert own.evaluate(model, "val") == plain.evaluate(model, "val")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_pkg.parts:three", r"it is called as three\(images\)"),
        ("own_pkg.parts:smaller", r"for images \[64, 1, 28, 28\] it gives shape \[64, 1, 27, 28\]"),
        ("torch:is_tensor", "it gives a bool, not images of the same shape"),
    ],
)
def test_what_is_no_augmentation_is_one_line(own_pkg: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        next(task(augment=name).train_batches(0, 0))
