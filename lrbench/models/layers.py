"""The layers of the networks. Defining them needs torch, so they are imported when a network is
built."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class PadShortcut(nn.Module):
    """Option A of He et al., the shortcut of the CIFAR networks: every `stride`-th pixel, with new
    channels filled with zeros; no weights."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = channels - channels_in
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        kept = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, 0, self.new_channels))


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)), the basic block of He et al., "Deep residual learning for
    image recognition" (2015): conv 3x3 - BN - ReLU - conv 3x3 - BN."""

    def __init__(self, channels_in: int, channels: int, stride: int, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3x3(channels_in, channels, stride),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            conv3x3(channels, channels),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        # in place, since no gradient needs the sums
        return functional.relu_(self.body(x).add_(self.shortcut(x)))


class MeanPool(nn.Module):
    """`[b, c, h, w]` to `[b, c]`: the mean over all pixels; its gradient is deterministic
    on a GPU too."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def conv3x3(channels_in: int, channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)


def projected(channels_in: int, channels: int, stride: int) -> nn.Module:
    """Option B of He et al.: a 1x1 convolution, the shortcut of the ImageNet networks."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
    )


def he_initialised(model: nn.Module) -> nn.Module:
    """Convolutions drawn from N(0, 2 / fan_out): He et al., "Delving deep into rectifiers"
    (2015)."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return model


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
    """A 3x3 convolution whose first `channels_in` filters are the identity and the others random,
    so that signals and gradients reach every layer from the first step."""
    layer = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:channels_in])
    return layer


class MaxHead(nn.Module):
    """The maximum over all pixels, a linear layer, and logits scaled by 1/9.

    Without the scale, the first steps go to unlearning confident guesses: after 3 epochs
    on 12,000 CIFAR images accuracy is .34 to .52 instead of .64 to .67.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.amax((2, 3)))
        return logits / 9


class Attention(nn.Module):
    """Causal self-attention over `[b, n, width]`, with the heads side by side in `width`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.inputs(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed: Tensor = self.output(found.transpose(1, 2).flatten(2))
        return mixed


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): pre-norm, which trains without warm-up more
    often than post-norm (Xiong et al., "On layer normalization in the transformer architecture",
    2020)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        mixed: Tensor = x + self.mlp(self.norm2(x))
        return mixed


class Transformer(nn.Module):
    """From characters int64 `[b, n]`, n <= `context`, to logits of the next characters `[b, n,
    vocabulary]`; the character embedding is also the output layer."""

    def __init__(self, context: int, vocabulary: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self._initialise(layers)

    def _initialise(self, layers: int) -> None:
        """N(0, 0.02²), and smaller where residual paths add up: Radford et al., "Language models
        are unsupervised multitask learners" (2019)."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                adds = name.endswith(("output.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * layers) if adds else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, text: Tensor) -> Tensor:
        places = torch.arange(text.shape[1], device=text.device)
        x = self.blocks(self.characters(text) + self.positions(places))
        return functional.linear(self.norm(x), self.characters.weight)
