"""Networks without normalisation layers: small enough for a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrbench.models import MODELS

if TYPE_CHECKING:
    from torch import nn


@MODELS.register("mlp", "784-256-128-10 on digits: no convolutions")
def mlp(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    from torch import nn

    channels, height, width = image_shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * width, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


@MODELS.register("lenet", "two 5x5 convolutions, two linear layers, 81,000 parameters on digits")
def lenet(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """After LeCun et al., "Gradient-based learning applied to document recognition" (1998), with
    ReLU and maximum pooling."""
    from torch import nn

    channels, height, width = image_shape
    rows, columns = ((size // 2 - 4) // 2 for size in (height, width))
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * rows * columns, 84),
        nn.ReLU(inplace=True),
        nn.Linear(84, classes),
    )


@MODELS.register("cnn3", "three 5x5 convolutions as in Caffe's cifar10_quick, 146,000 parameters")
def cnn3(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The layers of Caffe's `cifar10_quick` (Jia et al., 2014), with torch's initial weights."""
    from torch import nn

    channels, height, width = image_shape
    # each pooling gives ceil((size - 3) / 2) + 1 pixels, which is size // 2
    rows, columns = height // 2 // 2 // 2, width // 2 // 2 // 2
    return nn.Sequential(
        nn.Conv2d(channels, 32, 5, padding=2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.ReLU(),
        nn.Conv2d(32, 32, 5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(64 * rows * columns, 64),
        nn.Linear(64, classes),
    )
