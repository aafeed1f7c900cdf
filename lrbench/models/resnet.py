"""Residual networks for small images: He et al., "Deep residual learning for image recognition"
(2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lrbench.models import MODELS

if TYPE_CHECKING:
    from torch import nn

    Shortcut = Callable[[int, int, int], nn.Module]


@MODELS.register("resnet8", "He's CIFAR network with 1 block a stage, 75,000 parameters")
def resnet8(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """6n + 2 layers with n = 1; see `resnet20`."""
    return cifar_resnet(1, image_shape[0], classes)


@MODELS.register("resnet20", "He's CIFAR network with 3 blocks a stage, 270,000 parameters")
def resnet20(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """6n + 2 layers with n = 3: three stages of 16, 32 and 64 channels, shortcuts without
    weights (section 4.2 of the paper)."""
    return cifar_resnet(3, image_shape[0], classes)


@MODELS.register("resnet18", "ResNet-18 with a 3x3 stem for small images, 11 million parameters")
def resnet18(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Four stages of 64, 128, 256 and 512 channels, two blocks each; the 7x7 stem and its pooling
    are one 3x3 convolution, as is usual for CIFAR."""
    from lrbench.models.layers import projected

    return resnet(image_shape[0], classes, (64, 128, 256, 512), 2, projected)


def cifar_resnet(blocks: int, channels_in: int, classes: int) -> nn.Module:
    from lrbench.models.layers import PadShortcut

    return resnet(channels_in, classes, (16, 32, 64), blocks, PadShortcut)


def resnet(
    channels_in: int, classes: int, widths: Sequence[int], blocks: int, shortcut: Shortcut
) -> nn.Module:
    """conv 3x3 - BN - ReLU, then a stage of `blocks` residual blocks for each width, of which
    all but the first halve the image; mean over pixels, linear."""
    from torch import nn

    from lrbench.models.layers import MeanPool, Residual, conv3x3, he_initialised

    width = widths[0]
    layers: list[nn.Module] = [conv3x3(channels_in, width), nn.BatchNorm2d(width)]
    layers.append(nn.ReLU(inplace=True))
    for stage, channels in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            same = (width, stride) == (channels, 1)
            across = nn.Identity() if same else shortcut(width, channels, stride)
            layers.append(Residual(width, channels, stride, across))
            width = channels
    return he_initialised(nn.Sequential(*layers, MeanPool(), nn.Linear(width, classes)))
