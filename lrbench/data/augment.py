"""Batched random crops and flips, drawn for each image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from lrbench.data.image_data import Augmentation


@dataclass(frozen=True)
class Draw:
    """The random choices of one epoch of n images, in training order: `index`, `top` and `left`
    are int64 `[n]`, `mirror` is bool `[n]`."""

    index: Tensor
    top: Tensor
    left: Tensor
    mirror: Tensor

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.index, self.top, self.left, self.mirror

    def to(self, device: torch.device) -> Draw:
        return Draw(*(part.to(device) for part in self.parts))

    def __getitem__(self, batch: slice) -> Draw:
        return Draw(*(part[batch] for part in self.parts))


def draw(count: int, augmentation: Augmentation, seed: int, epoch: int) -> Draw:
    """Order, offsets and flips of an epoch, from the seed and the epoch alone. They are drawn on
    the CPU, so that a CPU and a GPU train on the same images in the same order."""
    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    index = torch.randperm(count, generator=generator)
    reach = 2 * augmentation.crop_padding + 1
    top, left = torch.randint(0, reach, (2, count), generator=generator)
    mirror = torch.rand(count, generator=generator) < (0.5 if augmentation.flip else 0.0)
    return Draw(index, top, left, mirror)


def epoch_seed(seed: int, epoch: int) -> int:
    """A generator's seed in 0 .. 2^63 - 1, hashed so that neighbouring streams are independent."""
    text = f"lrbench order {seed} {epoch}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def pad(images: Tensor, padding: int) -> Tensor:
    """Pad images `[n, h, w, c]` with zeros before they are normalised, as torchvision's RandomCrop
    does."""
    if padding == 0:
        return images
    return torch.nn.functional.pad(images, (0, 0, padding, padding, padding, padding))


def crop(padded: Tensor, chosen: Draw, size: tuple[int, int], *, mirrors: bool = True) -> Tensor:
    """Crops `[b, h, w, c]` of `size` from padded images `[n, H, W, c]`, flipped left to right as
    drawn; `mirrors=False` promises that nothing is flipped."""
    height, width = size
    # every crop of every image, as a view [n, top, left, h, w, c]: a batch is one gather of rows
    every = padded.unfold(1, height, 1).unfold(2, width, 1).permute(0, 1, 2, 4, 5, 3)
    cut = every[chosen.index, chosen.top, chosen.left]
    return torch.where(chosen.mirror[:, None, None, None], cut.flip(2), cut) if mirrors else cut
