"""The layers of `fastnet`: blocks that start near the identity, and a scaled head."""

from __future__ import annotations

from torch import Tensor, nn


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
    """A 3x3 convolution whose first `channels_in` filters are the identity, the others random:
    signals and gradients reach every layer from the first step."""
    layer = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:channels_in])
    return layer


class MaxHead(nn.Module):
    """The maximum over all pixels, a linear layer, and logits scaled by 1/9.

    Without the scale, the first steps go into unlearning confident guesses: after 3 epochs
    on 12,000 CIFAR images accuracy is .34 to .52 instead of .64 to .67.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.amax((2, 3)))
        return logits / 9
