"""Networks by name. A family is one file here; its layers, which need torch, are in `layers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lrbench.errors import UsageError
from lrbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn

# (image shape [c, h, w], number of classes) -> a network from [b, c, h, w] to logits [b, classes]
Build = Callable[[tuple[int, int, int], int], "nn.Module"]
MODELS: Registry[Build] = Registry("model", "lrbench.models")
LEAST_SIZE = 28

__all__ = ["LEAST_SIZE", "MODELS", "build"]


def build(name: str, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A new network; its weights come from torch's global generator.

    It takes normalised images `[b, c, h, w]` and gives logits `[b, classes]`.

    Raises:
        UsageError: nobody knows the name, or the images are smaller than 28 x 28.

    >>> sum(p.numel() for p in build("lenet", image_shape=(1, 28, 28), classes=10).parameters())
    81382
    """
    entry = MODELS.get(name, option="--model")
    _, height, width = image_shape
    if min(height, width) < LEAST_SIZE:
        raise UsageError(
            f"--model {name} needs images of at least {LEAST_SIZE} x {LEAST_SIZE} pixels, "
            f"not {height} x {width}"
        )
    return entry.make(image_shape, classes)
