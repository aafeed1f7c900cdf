"""The arrays of a dataset, and the batches that are drawn from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from lrbench.data.image_data import DIGITS, PHOTOS, UNCHANGED, Augmentation
from lrbench.data.resident import Residents, channel_statistics, draw
from lrbench.data.split import stratified
from lrbench.errors import MachineError

from .makers import image_data

CPU = torch.device("cpu")


def test_the_draw_follows_from_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    first = draw(100, PHOTOS, seed=3, epoch=2)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = draw(100, PHOTOS, seed=3, epoch=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first, again)
    for other in (draw(100, PHOTOS, 3, 3), draw(100, PHOTOS, 4, 2), draw(100, PHOTOS, 2, 3)):
        assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_order_is_a_permutation_and_offsets_fill_their_range() -> None:
    index, top, left, flip = draw(5000, PHOTOS, 0, 0)
    assert index.sort().values.equal(torch.arange(5000))
    for offsets in (top, left):
        assert offsets.unique().tolist() == list(range(9))
        assert torch.bincount(offsets).min() > 5000 / 9 * 0.8
    assert flip.unique().tolist() == [0, 1] and 0.45 < flip.float().mean() < 0.55
    assert not torch.equal(top, left)
    _, top, _, flip = draw(5000, DIGITS, 0, 0)
    assert top.unique().tolist() == list(range(5)) and not flip.any()


@pytest.mark.parametrize(("shape", "rule"), [((1, 28, 28), DIGITS), ((3, 32, 30), PHOTOS)])
def test_a_batch_equals_torchvisions_transforms(
    shape: tuple[int, int, int], rule: Augmentation
) -> None:
    data = image_data(shape=shape, augmentation=rule)
    train = Residents.of(data, CPU, val_fraction=0.2).train
    kept, _ = stratified(data.train_labels, 0.2)
    drawn = draw(len(train), rule, seed=0, epoch=0)
    images, labels = train.batch(drawn)
    assert images.dtype == torch.float32
    means, deviations = channel_statistics(data.train_images)
    mean, std = [m / 255 for m in means], [d / 255 for d in deviations]
    for place, (index, top, left, flip) in enumerate(drawn.T.tolist()):
        image = torch.tensor(data.train_images[kept[index]])
        image = functional.pad(image, [rule.crop_padding] * 4, fill=0)
        image = functional.crop(image, top, left, *shape[1:])
        image = functional.hflip(image) if flip else image
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
        (splits.test, data.test_images.copy(), data.test_labels),
    ):
        data.test_images[:] = 0  # the user's arrays are not shared
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


NONE = np.zeros((0, 1, 28, 28), np.uint8)


def test_digest_is_that_of_bytes_in_c_order() -> None:
    """What it is for them, the known digests of test_mnist5k say."""
    data = image_data(count=8)
    fortran = replace(data, train_images=np.asfortranarray(data.train_images))
    assert fortran.digest == data.digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_labels": np.arange(40) % 5}, "labels from 0 to 4, but 4 classes"),
        ({"test_labels": np.arange(40) % 4 - 1}, "labels from -1"),
        ({"train_labels": np.zeros(39, dtype=np.int64)}, "40 images, but 39 labels"),
        ({"train_images": np.zeros((40, 1, 28, 28), dtype=np.float64)}, "float64 of shape"),
        ({"train_images": np.zeros((40, 28, 28), dtype=np.uint8)}, "uint8 of shape"),
        ({"test_labels": np.zeros(40, dtype=np.int32)}, "int32"),
        ({"test_images": np.zeros((40, 1, 28, 27), dtype=np.uint8)}, "test images"),
        ({"test_images": NONE, "test_labels": np.zeros(0, int)}, "empty"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(MachineError, match="dataset made is damaged") as fault:
        replace(image_data(), **change)
    assert words in str(fault.value)
