"""The networks. Their layers need torch, so `torch.nn` and `layers` are imported when a network is
built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lrbench.models import MODELS

if TYPE_CHECKING:
    from torch import nn

    Shortcut = Callable[[int, int, int], nn.Module]
Shape = tuple[int, int, int]


@MODELS.register("mlp", "784-256-128-10 on digits: no convolutions")
def mlp(image_shape: Shape, classes: int) -> nn.Module:
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
def lenet(image_shape: Shape, classes: int) -> nn.Module:
    """After LeCun et al., "Gradient-based learning applied to document recognition" (1998), with
    ReLU and max pooling."""
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
def cnn3(image_shape: Shape, classes: int) -> nn.Module:
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


@MODELS.register("resnet8", "He's CIFAR network with 1 block per stage, 75,000 parameters")
def resnet8(image_shape: Shape, classes: int) -> nn.Module:
    """6n + 2 layers with n = 1; see `resnet20`."""
    from lrbench.models.layers import PadShortcut

    return resnet(image_shape[0], classes, (16, 32, 64), 1, PadShortcut)


@MODELS.register("resnet20", "He's CIFAR network with 3 blocks per stage, 270,000 parameters")
def resnet20(image_shape: Shape, classes: int) -> nn.Module:
    """6n + 2 layers with n = 3: three stages of 16, 32 and 64 channels, shortcuts without
    weights: section 4.2 of He et al., "Deep residual learning for image recognition" (2015)."""
    from lrbench.models.layers import PadShortcut

    return resnet(image_shape[0], classes, (16, 32, 64), 3, PadShortcut)


@MODELS.register("resnet18", "ResNet-18 with a 3x3 stem for small images, 11 million parameters")
def resnet18(image_shape: Shape, classes: int) -> nn.Module:
    """Four stages of 64, 128, 256 and 512 channels, two blocks each; one 3x3 convolution
    replaces the 7x7 stem and its pooling, as usual for CIFAR."""
    from lrbench.models.layers import projected

    return resnet(image_shape[0], classes, (64, 128, 256, 512), 2, projected)


def resnet(
    channels_in: int, classes: int, widths: Sequence[int], blocks: int, shortcut: Shortcut
) -> nn.Module:
    """conv 3x3 - BN - ReLU, then a stage of `blocks` residual blocks for each width, of which
    all but the first halve the image; mean over pixels, linear."""
    from torch import nn

    from lrbench.models.layers import MeanPool, Residual, conv3x3, he_initialised

    width = widths[0]
    layers = [conv3x3(channels_in, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    for stage, channels in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            same = (width, stride) == (channels, 1)
            across = nn.Identity() if same else shortcut(width, channels, stride)
            layers.append(Residual(width, channels, stride, across))
            width = channels
    return he_initialised(nn.Sequential(*layers, MeanPool(), nn.Linear(width, classes)))


@MODELS.register("fastnet", "for about 10 epochs of CIFAR on a GPU, 2 million parameters")
def fastnet(image_shape: Shape, classes: int) -> nn.Module:
    """The shape, the near-identity weights and the scaled logits are those of Jordan, "94 % on
    CIFAR-10 in 3.29 seconds" (2024, arXiv 2404.00498). Batch normalisation replaces its whitened
    first layer, which needs the data."""
    from torch import nn

    from lrbench.models.layers import MaxHead, fast_block

    return nn.Sequential(
        nn.Conv2d(image_shape[0], 24, 2, bias=False),
        nn.BatchNorm2d(24),
        nn.GELU(),
        fast_block(24, 64),
        fast_block(64, 256),
        fast_block(256, 256),
        MaxHead(256, classes),
    )


@MODELS.register(
    "gpt", "3 transformer blocks of width 96, 366,000 parameters, for text", reads="text"
)
def gpt(shape: tuple[int], vocabulary: int) -> nn.Module:
    """Decoder-only transformer after Radford et al., "Language models are unsupervised multitask
    learners" (2019): learned positions, pre-norm, GELU, tied embeddings, no dropout."""
    from lrbench.models.layers import Transformer

    return Transformer(shape[0], vocabulary, width=96, layers=3, heads=4)
