"""Cropping and mirroring as batched tensor work, one draw for each image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lrbench.data.image_data import Augmentation


@dataclass(frozen=True)
class Draw:
    """What chance decides for one epoch of n images: `index`, `top` and `left` are int64 `[n]`,
    `mirror` is bool `[n]`, all in the order of training."""

    index: Tensor
    top: Tensor
    left: Tensor
    mirror: Tensor

    def to(self, device: torch.device) -> Draw:
        return Draw(*(part.to(device) for part in self._parts()))

    def __getitem__(self, batch: slice) -> Draw:
        return Draw(*(part[batch] for part in self._parts()))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.index, self.top, self.left, self.mirror


def draw(count: int, augmentation: Augmentation, seed: int, epoch: int) -> Draw:
    """Order, offsets and mirroring of an epoch. They follow from the seed and the epoch alone:
    the generator is the CPU's, so a CPU and a GPU train on the same images in the same order."""
    import torch

    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    index = torch.randperm(count, generator=generator)
    reach = 2 * augmentation.crop_padding + 1
    top, left = torch.randint(0, reach, (2, count), generator=generator)
    mirror = torch.rand(count, generator=generator) < (0.5 if augmentation.flip else 0.0)
    return Draw(index, top, left, mirror)


def epoch_seed(seed: int, epoch: int) -> int:
    """A generator's seed in 0 .. 2^63 - 1; hashed, so that no two neighbours share a stream."""
    text = f"lrbench order {seed} {epoch}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def pad(images: Tensor, padding: int) -> Tensor:
    """Images `[n, h, w, c]` with a frame of zeros: black before normalising, as torchvision's
    RandomCrop pads."""
    import torch

    if padding == 0:
        return images
    return torch.nn.functional.pad(images, (0, 0, padding, padding, padding, padding))


def crop(padded: Tensor, chosen: Draw, size: tuple[int, int], *, mirrors: bool = True) -> Tensor:
    """The crops `[b, h, w, c]` of `size` that a draw chooses from padded images `[n, H, W, c]`,
    mirrored left to right where it says so; `mirrors=False` promises that it never does."""
    import torch

    height, width = size
    # every crop of every image, as a view [n, top, left, h, w, c]: a batch is one gather of rows
    every = padded.unfold(1, height, 1).unfold(2, width, 1).permute(0, 1, 2, 4, 5, 3)
    cut = every[chosen.index, chosen.top, chosen.left]
    return torch.where(chosen.mirror[:, None, None, None], cut.flip(2), cut) if mirrors else cut
