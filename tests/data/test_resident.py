from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from lrbench.data.augment import draw
from lrbench.data.image_data import DIGITS, PHOTOS, UNCHANGED, Augmentation
from lrbench.data.resident import Residents, channel_statistics
from lrbench.data.split import stratified

from .makers import image_data

CPU = torch.device("cpu")


@pytest.mark.parametrize(("shape", "rule"), [((1, 28, 28), DIGITS), ((3, 32, 30), PHOTOS)])
def test_a_batch_equals_torchvisions_transforms(
    shape: tuple[int, int, int], rule: Augmentation
) -> None:
    data = image_data(shape=shape, augmentation=rule)
    train = Residents.of(data, CPU, val_fraction=0.2).train
    kept, _ = stratified(data.train_labels, 0.2)
    chosen = draw(len(train), rule, seed=0, epoch=0)
    images, labels = train.batch(chosen)
    assert images.dtype == torch.float32
    means, deviations = channel_statistics(data.train_images)
    mean, std = [m / 255 for m in means], [d / 255 for d in deviations]
    for place, index in enumerate(chosen.index.tolist()):
        image = torch.tensor(data.train_images[kept[index]])
        image = functional.pad(image, [rule.crop_padding] * 4, fill=0)
        offsets = int(chosen.top[place]), int(chosen.left[place])
        image = functional.crop(image, *offsets, *shape[1:])
        image = functional.hflip(image) if chosen.mirror[place] else image
        expected = functional.normalize(image.float() / 255, mean, std)
        torch.testing.assert_close(images[place], expected, rtol=1e-5, atol=1e-5)
        assert labels[place] == data.train_labels[kept[index]]


def test_validation_and_test_images_are_left_as_they_are() -> None:
    data = image_data(augmentation=PHOTOS)
    splits = Residents.of(data, CPU, val_fraction=0.2)
    _, held = stratified(data.train_labels, 0.2)
    assert splits.val.augmentation == splits.test.augmentation == UNCHANGED
    for split, pixels, labels in (
        (splits.val, data.train_images[held], data.train_labels[held]),
        (splits.test, data.test_images, data.test_labels),
    ):
        images, targets = split.plain(0, len(split))
        restored = images * split.std + split.mean
        assert np.array_equal(restored.round().to(torch.uint8).numpy(), pixels)
        assert targets.tolist() == labels.tolist()


def test_statistics_are_those_of_the_pixels() -> None:
    images = image_data(shape=(3, 28, 29)).train_images
    means, deviations = channel_statistics(images)
    np.testing.assert_allclose(means, images.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(deviations, images.std((0, 2, 3)), rtol=1e-12)


def test_a_constant_channel_does_not_divide_by_zero() -> None:
    data = image_data()
    flat = replace(data, train_images=np.full_like(data.train_images, 7))
    assert channel_statistics(flat.train_images) == ([7.0], [1.0])
    images, _ = Residents.of(flat, CPU, val_fraction=0.2).val.plain(0, 3)
    assert torch.equal(images, torch.zeros_like(images))


def test_the_users_arrays_are_not_shared() -> None:
    data = image_data()
    splits = Residents.of(data, CPU, val_fraction=0.2)
    before = splits.test.images.clone()
    data.test_images[:] = 0
    assert torch.equal(splits.test.images, before)
