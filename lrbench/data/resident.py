"""A dataset on the device, as bytes: padded once and shared by all trials. A batch is cut out of it
with random crops and flips drawn for each image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lrbench.data.image_data import UNCHANGED, Augmentation, ImageData, Images, Labels
from lrbench.data.split import stratified


def draw(count: int, augmentation: Augmentation, seed: int, epoch: int) -> Tensor:
    """int64 `[4, n]`: index, top and left offset and flip (0 or 1) of each image of an epoch, in
    training order, from the seed and the epoch alone. Drawn on the CPU, so that a CPU and a GPU
    train on the same images in the same order."""
    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    index = torch.randperm(count, generator=generator)
    reach = 2 * augmentation.crop_padding + 1
    offsets = torch.randint(0, reach, (2, count), generator=generator)
    flip = torch.rand(count, generator=generator) < (0.5 if augmentation.flip else 0.0)
    return torch.stack([index, *offsets, flip.long()])


def epoch_seed(seed: int, epoch: int) -> int:
    """A generator's seed in 0 .. 2^63 - 1, hashed so that neighbouring streams are independent."""
    text = f"lrbench order {seed} {epoch}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


@dataclass(frozen=True, eq=False)
class Resident:
    """A split on the device. `images` are uint8 (or float32) `[n, h + 2p, w + 2p, c]`: channels
    last, so that a crop of a batch is one gather of whole pixels. `mean` and `std` are float32
    `[c, 1, 1]`, in units of the images."""

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    image_shape: tuple[int, int, int]
    augmentation: Augmentation

    def __len__(self) -> int:
        return len(self.labels)

    def batch(
        self, drawn: Tensor, change: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The images in columns of `draw`, cropped and flipped, or passed as `[b, c, h, w]` through
        `change`; then normalised, `[b, c, h, w]`; and labels."""
        index = drawn[0]
        if change is not None:
            images = change(self.images[index].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        elif self.augmentation == UNCHANGED:
            images = self.images[index]
        else:
            images = self._cropped(drawn)
        return self._normalised(images), self.labels[index]

    def plain(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Images `start` to `stop` of an unpadded split, normalised, with labels."""
        return self._normalised(self.images[start:stop]), self.labels[start:stop]

    def _cropped(self, drawn: Tensor) -> Tensor:
        _, height, width = self.image_shape
        index, top, left, flip = drawn
        # every crop of every image, as a view [n, top, left, h, w, c]: a batch is one gather
        every = self.images.unfold(1, height, 1).unfold(2, width, 1).permute(0, 1, 2, 4, 5, 3)
        cut = every[index, top, left]
        if not self.augmentation.flip:
            return cut
        return torch.where(flip.bool()[:, None, None, None], cut.flip(2), cut)

    def _normalised(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 3, 1, 2).to(self.mean.dtype, copy=True)
        return pixels.sub_(self.mean).div_(self.std)


@dataclass(frozen=True, eq=False)
class Residents:
    """The three splits of a dataset on the device. Validation images are taken from the training
    images and are the same for every seed."""

    train: Resident
    val: Resident
    test: Resident
    classes: int

    @staticmethod
    def of(
        data: ImageData, device: torch.device, *, val_fraction: float, augment: bool = True
    ) -> Residents:
        """Move a dataset to the device; `augment=False` leaves training images unchanged."""
        kept, held = stratified(data.train_labels, val_fraction)
        mean, std = (
            torch.tensor(value, dtype=torch.float32, device=device)[:, None, None]
            for value in channel_statistics(data.train_images)
        )

        def place(images: Images, labels: Labels, rule: Augmentation) -> Resident:
            pixels = torch.tensor(images, device=device).permute(0, 2, 3, 1).contiguous()
            if p := rule.crop_padding:  # before normalisation, as in torchvision's RandomCrop
                pixels = torch.nn.functional.pad(pixels, (0, 0, p, p, p, p))
            targets = torch.tensor(labels, device=device)
            return Resident(pixels, targets, mean, std, data.image_shape, rule)

        rule = data.augmentation if augment else UNCHANGED
        return Residents(
            train=place(data.train_images[kept], data.train_labels[kept], rule),
            val=place(data.train_images[held], data.train_labels[held], UNCHANGED),
            test=place(data.test_images, data.test_labels, UNCHANGED),
            classes=len(data.classes),
        )


def channel_statistics(images: Images) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, in the units of the images.

    Bytes are counted in an integer histogram, so the result is bitwise the same everywhere. The
    standard deviation of a constant channel is taken as 1.
    """
    if images.dtype.kind == "f":
        axes = (0, 2, 3)
        deviations = images.std(axes, dtype=np.float64).tolist()
        return images.mean(axes, dtype=np.float64).tolist(), [sd or 1.0 for sd in deviations]
    values = np.arange(256)
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256)
        total = int(counts.sum())
        first, second = int((counts * values).sum()), int((counts * values**2).sum())
        variance = (second * total - first * first) / (total * total)
        means.append(first / total)
        deviations.append(variance**0.5 or 1.0)
    return means, deviations
