"""A language model small enough for a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrbench.models import MODELS

if TYPE_CHECKING:
    from torch import nn


@MODELS.register(
    "gpt", "3 transformer blocks of width 96, 366,000 parameters, for text", reads="text"
)
def gpt(shape: tuple[int], vocabulary: int) -> nn.Module:
    """Decoder-only transformer after Radford et al., "Language models are unsupervised multitask
    learners" (2019): learned positions, pre-norm, GELU, tied embeddings, no dropout."""
    from lrbench.models.transformer import Transformer

    return Transformer(shape[0], vocabulary, width=96, layers=3, heads=4)
