"""The layers of a small decoder-only transformer; like `layers`, imported when it is built."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Causal self-attention over `[b, n, width]`, its heads side by side in `width`."""

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
    """x + attention(norm(x)), then x + mlp(norm(x)): normalised before, which trains without
    warm-up more often than after (Xiong et al., "On layer normalization in the transformer
    architecture", 2020)."""

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
    """Characters int64 `[b, n]` to the logits of the next ones, `[b, n, vocabulary]`, with
    n <= `context`; the embedding of the characters is the output layer as well."""

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
