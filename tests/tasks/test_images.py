"""Image classification, also with the user's own loss and augmentation."""

import gc
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lrbench.data import load
from lrbench.data.image_data import PHOTOS
from lrbench.errors import UsageError
from lrbench.models import build
from lrbench.options import Recipe
from lrbench.tasks.images import ImageTask, own_loss, residents
from tests.data.makers import image_data
from tests.engine.tools import CPU, CUDA, on_cuda, same

RECIPE = Recipe(batch_size=8, val_fraction=0.2)


def task(*, with_test: bool = False, data: Any = None, **changes: Any) -> ImageTask:
    """A task on 40 images in 4 classes; `data` are its fields, `changes` are of the recipe."""
    made = replace(image_data(count=40), **(data or {}))
    return ImageTask(made, RECIPE.model_copy(update=changes), CPU, with_test=with_test)


def in_one(found: ImageTask, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """All images of a split, as evaluation reads them, and their labels."""
    whole = found._splits[split]
    return whole.plain(0, len(whole))


def test_the_last_partial_batch_is_dropped_in_training_and_kept_in_evaluation() -> None:
    found = task(batch_size=9, with_test=True)
    sizes = [len(labels) for _, labels in found.train_batches(0, 0)]
    assert sizes == [9, 9, 9] and found.steps_per_epoch == 3

    seen: list[int] = []

    class Counting(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(len(images))
            return torch.zeros(len(images), 4)

    found.evaluate(Counting(), "val")
    found.evaluate(Counting(), "test")
    assert seen == [8, 40]


def test_evaluation_is_what_torch_and_scikit_learn_say() -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    labels = np.repeat([0, 1, 2, 3], [25, 9, 4, 2])
    found = task(with_test=True, data={"test_labels": labels})
    model = found.model(0).eval()
    images, labels = in_one(found, "test")
    with torch.no_grad():
        logits = model(images)
    pair = labels.numpy(), logits.argmax(1).numpy()
    scores, loss = found.evaluate(model, "test"), float(functional.cross_entropy(logits, labels))
    assert scores["loss"] == pytest.approx(loss, rel=1e-5)
    assert scores["accuracy"] == accuracy_score(*pair)
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(*pair))
    assert scores["balanced_accuracy"] != pytest.approx(scores["accuracy"])


def test_evaluation_leaves_the_model_as_it_was() -> None:
    found = task(model="resnet8")
    for training in (True, False):
        model = found.model(0).train(training)
        before = deepcopy(model.state_dict())
        found.evaluate(model, "val")
        assert model.training is training
        assert same(before.values(), model.state_dict().values())
        assert all(parameter.grad is None for parameter in model.parameters())


def test_without_the_test_split_no_test_image_is_held() -> None:
    data = replace(image_data(), test_images=np.full((40, 1, 28, 28), 77, np.uint8))
    lent = residents(data, RECIPE, CPU)
    blind = ImageTask(data, RECIPE, CPU, with_test=False, resident=lent)
    with pytest.raises(UsageError, match="without its test split"):
        blind.evaluate(blind.model(0), "test")
    held = [id(each) for each in gc.get_referents(*gc.get_referents(blind.__dict__))]
    assert id(lent.test) not in held and id(lent.val) in held


def test_the_validation_split_is_the_same_for_every_seed_and_never_trained_on() -> None:
    pixels = np.repeat(np.arange(40, dtype=np.uint8), 784).reshape(40, 1, 28, 28)
    found = task(augment="none", data={"train_images": pixels})

    def numbers(images: torch.Tensor) -> set[int]:
        values = images * found._train.std + found._train.mean
        return {round(float(value)) for value in values[:, 0, 0, 0]}

    held = numbers(in_one(found, "val")[0])
    trained = set[int]()
    for seed in range(3):
        trained.update(*(numbers(images) for images, _ in found.train_batches(seed, 0)))
    assert len(held) == 8
    assert held | trained == set(range(40)) and not held & trained


def test_weights_follow_from_the_seed_and_the_process_keeps_its_own() -> None:
    found = task()
    before = torch.random.get_rng_state()
    first, again, other = found.model(1), found.model(1), found.model(2)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(1)
    plain = build("lenet", shape=(1, 28, 28), classes=4)
    assert same(first.parameters(), again.parameters())
    assert same(first.parameters(), plain.parameters())
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_a_batch_above_the_training_split_is_refused() -> None:
    assert task(batch_size=32).steps_per_epoch == 1
    with pytest.raises(UsageError, match="--batch-size 33 is more than the 32 training images"):
        task(batch_size=33)


@on_cuda
def test_a_gpu_trains_on_the_same_images_in_the_same_order() -> None:
    data = image_data(shape=(3, 32, 32), augmentation=PHOTOS)
    here, there = (ImageTask(data, RECIPE, device, with_test=True) for device in (CPU, CUDA))
    for ours, theirs in zip(here.train_batches(3, 1), there.train_batches(3, 1), strict=True):
        torch.testing.assert_close(theirs[0].cpu(), ours[0])
        assert torch.equal(theirs[1].cpu(), ours[1])
    assert same(here.model(0).parameters(), there.model(0).cpu().parameters())


def test_smoothed_labels_are_torchs_and_only_in_training() -> None:
    plain, smooth = task(), task(label_smoothing=0.2)
    model, batch = plain.model(0), next(plain.train_batches(0, 0))
    expected = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(model(batch[0]), batch[1])
    torch.testing.assert_close(smooth.loss(model, batch)[0], expected)
    assert plain.loss(model, batch)[0] != expected
    assert smooth.evaluate(model, "val") == plain.evaluate(model, "val")


def test_a_test_time_flip_is_the_mean_over_both_sides() -> None:
    data = vars(image_data(64, (3, 32, 32), augmentation=PHOTOS))
    one, both = (task(with_test=True, data=data, tta=tta) for tta in ("", "flip"))
    model = one.model(0).eval()
    images, labels = in_one(one, "test")
    with torch.no_grad():
        logits = (model(images) + model(torch.flip(images, [3]))) / 2
    expected = functional.cross_entropy(logits, labels).item()
    assert both.evaluate(model, "test")["loss"] == pytest.approx(expected, rel=1e-5)
    assert one.evaluate(model, "test")["loss"] != pytest.approx(expected, rel=1e-5)


def test_a_warm_start_has_the_files_weights_and_a_head_that_fits(tmp_path: Path) -> None:
    expected, file = task().model(7), tmp_path / "weights.pt"
    torch.save({"model": expected.state_dict(), "epoch": 3}, file)
    warm = task(init_from=str(file)).model(0)
    assert same(warm.parameters(), expected.parameters())
    with pytest.raises(UsageError, match=r"--init-from .* does not fit mlp"):
        task(init_from=str(file), model="mlp").model(0)


def own_task(**changes: Any) -> ImageTask:
    recipe = Recipe(dataset="synthetic", model="mlp", batch_size=64, **changes)
    return ImageTask(load("synthetic"), recipe, CPU, with_test=True)


def test_the_loss_is_the_users_in_training_and_evaluation(own_pkg: Path) -> None:
    own = own_task(loss="own_pkg.parts:smooth")
    model = own.model(0).eval()
    images, labels = batch = next(own.train_batches(0, 0))
    loss, right = own.loss(model, batch)
    scores = model(images)
    torch.testing.assert_close(loss, functional.cross_entropy(scores, labels, label_smoothing=0.1))
    assert int(right) == int((scores.argmax(1) == labels).sum())
    images, labels = in_one(own, "test")
    with torch.no_grad():
        expected = functional.cross_entropy(model(images), labels, label_smoothing=0.1)
    assert own.evaluate(model, "test")["loss"] == pytest.approx(float(expected), rel=1e-5)
    plain, torchs = own_task(), own_task(loss="torch.nn:CrossEntropyLoss")
    assert torchs.evaluate(model, "val") == pytest.approx(plain.evaluate(model, "val"))


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


def test_the_augmentation_gets_raw_images_and_the_epochs_generator(own_pkg: Path) -> None:
    own, plain = own_task(augment="own_pkg.parts:noise"), own_task(augment="none")
    images, labels = next(own.train_batches(3, 1))
    again, _ = next(own.train_batches(3, 1))
    other, _ = next(own.train_batches(3, 2))
    assert torch.equal(images, again) and not torch.equal(images, other)
    untouched, same = next(plain.train_batches(3, 1))
    assert torch.equal(labels, same)
    noise = (images - untouched) * own._train.std
    assert float(noise.std()) == pytest.approx(1.0, abs=0.02)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    model = plain.model(0)
    assert own.evaluate(model, "val") == plain.evaluate(model, "val")


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("loss", "own_pkg.parts:unreduced", r"it returns shape \[2\], not the mean loss"),
        ("loss", "own_pkg.parts:three", "missing 1 required positional argument"),
        ("loss", "own_pkg.parts:smoth", "did you mean smooth"),
        ("augment", "own_pkg.parts:three", r"it is called as three\(images\)"),
        ("augment", "own_pkg.parts:smaller", r"64, 1, 28, 28\] it returns shape \[64, 1, 27, 28\]"),
        ("augment", "torch:is_tensor", "it returns a bool, not images of the same shape"),
    ],
)
def test_what_is_no_loss_or_augmentation_is_one_line(
    own_pkg: Path, option: str, name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=f"--{option} {name}: .*{words}"):
        next(own_task(**{option: name}).train_batches(0, 0))
