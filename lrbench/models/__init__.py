"""Networks by name. A family is one file here; its layers, which need torch, are in `layers`.

Besides the registered names there are torchvision's, `torchvision:resnet18`, and the user's own,
`module:attribute`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench import plugins
from lrbench.errors import MachineError, UsageError
from lrbench.models.own_model import build_own, check_logits, load_own
from lrbench.models.zoo import PREFIX, build_zoo, is_published
from lrbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn

# (image shape [c, h, w], number of classes) -> a network from [b, c, h, w] to logits [b, classes]
Build = Callable[[tuple[int, int, int], int], "nn.Module"]
MODELS: Registry[Build] = Registry("model", "lrbench.models", skip=("layers",))
LEAST_SIZE = 28  # pixels

__all__ = ["LEAST_SIZE", "MODELS", "build", "check"]


def check(name: str, weights: str = "") -> None:
    """Refuse an unknown network, or weights that do not exist, without importing torch."""
    if plugins.is_own(name):
        load_own(name)
    elif not name.startswith(PREFIX):
        MODELS.get(name, option="--model")
    if not weights or is_published(name, weights) or os.path.isfile(Path(weights).expanduser()):
        return
    if weights == "DEFAULT":
        raise UsageError(f"--weights DEFAULT: {name} has none", hint="name a file of weights")
    raise MachineError(f"--weights {weights}: there is no such file")


def build(
    name: str, image_shape: tuple[int, int, int], classes: int, weights: str = ""
) -> nn.Module:
    """A new network from normalised images `[b, c, h, w]` to logits `[b, classes]`.

    Its weights come from torch's global generator, or from `weights`: a file, or a name such as
    DEFAULT for `torchvision:NAME`.

    Raises:
        UsageError: an unknown name, or a network that does not take such images.
        MachineError: the weights do not exist.

    >>> sum(p.numel() for p in build("lenet", image_shape=(1, 28, 28), classes=10).parameters())
    81382
    """
    if plugins.is_own(name) or name.startswith(PREFIX):
        make = build_zoo if name.startswith(PREFIX) else build_own
        model = make(name, image_shape, classes)
        check_logits(f"--model {name}", model, image_shape, classes)
    else:
        entry = MODELS.get(name, option="--model")
        _, height, width = image_shape
        if min(height, width) < LEAST_SIZE:
            raise UsageError(
                f"--model {name} needs images of at least {LEAST_SIZE} x {LEAST_SIZE} pixels, "
                f"not {height} x {width}"
            )
        model = entry.make(image_shape, classes)
    if weights:
        from lrbench.models.weights import load_weights

        load_weights(model, name, weights)
    return model
