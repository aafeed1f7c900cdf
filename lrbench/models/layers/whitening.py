"""The first layers of `fastnet`: decorrelated patches, and blocks that start near the identity."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def cosine_basis(size: int) -> Tensor:
    """The orthonormal rows of the DCT-II, float32 `[size, size]`.

    On three colours they are close to brightness, red against blue, and green against both.
    """
    place = (2 * torch.arange(size, dtype=torch.float64) + 1) * math.pi / (2 * size)
    basis = torch.cos(torch.arange(size, dtype=torch.float64)[:, None] * place)
    return (basis / basis.norm(dim=1, keepdim=True)).float()


def whitening(channels: int) -> nn.Sequential:
    """`[b, c, h, w]` to `[b, 8c, h - 1, w - 1]`: 2x2 patches, decorrelated, each component with
    variance 1, and once more with the other sign.

    Jordan, "94 % on CIFAR-10 in 3.29 seconds" (2024) takes the eigenvectors of the training
    patches. Those of natural images are close to a cosine basis, which needs no data; batch
    normalisation brings the scale. The filters are fixed.
    """
    pixels = cosine_basis(2)
    filters = torch.einsum("ai,by,dx->abdiyx", cosine_basis(channels), pixels, pixels)
    filters = filters.reshape(4 * channels, channels, 2, 2)
    layer = nn.Conv2d(channels, 8 * channels, 2, bias=False)
    layer.weight = nn.Parameter(torch.cat([filters, -filters]), requires_grad=False)
    return nn.Sequential(layer, nn.BatchNorm2d(8 * channels, affine=False), nn.GELU())


def fast_block(channels_in: int, channels: int) -> nn.Sequential:
    """conv 3x3 - max pool 2 - BN - GELU - conv 3x3 - BN - GELU: half the height and width."""
    return nn.Sequential(
        near_identity(channels_in, channels),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(channels),
        nn.GELU(),
        near_identity(channels, channels),
        nn.BatchNorm2d(channels),
        nn.GELU(),
    )


def near_identity(channels_in: int, channels: int) -> nn.Conv2d:
    """A 3x3 convolution whose first `channels_in` filters hand their channel through, the others
    random: signals and gradients reach every layer from the first step on."""
    layer = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:channels_in])
    return layer


class MaxHead(nn.Module):
    """The maximum over all pixels, a linear layer, and logits scaled by 1/9, so that the first
    steps are not spent on unlearning confident guesses."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.amax((2, 3)))
        return logits / 9
