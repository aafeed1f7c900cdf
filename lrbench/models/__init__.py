"""Networks by name. A family is one file here; its layers, which need torch, are in `layers`.

Beside the registered names there are torchvision's, `torchvision:resnet18`, and the user's own,
`module:attribute`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench import plugins
from lrbench.errors import MachineError, UsageError
from lrbench.models.own import build_own, check_logits, check_own
from lrbench.models.zoo import PREFIX, build_zoo, is_published
from lrbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn

# (image shape [c, h, w], number of classes) -> a network from [b, c, h, w] to logits [b, classes]
Build = Callable[[tuple[int, int, int], int], "nn.Module"]
MODELS: Registry[Build] = Registry("model", "lrbench.models")
LEAST_SIZE = 28

__all__ = ["LEAST_SIZE", "MODELS", "build", "check"]


def check(name: str, weights: str = "") -> None:
    """Refuse, without torch where the network is one of this package, what nobody knows.

    Raises:
        UsageError: an unknown name, or weights that only torchvision's networks have.
        MachineError: a file of weights that is not there.
    """
    if plugins.is_own(name):
        check_own(name)
    elif not name.startswith(PREFIX):
        MODELS.get(name, option="--model")
    there = os.path.isfile(Path(weights).expanduser())  # False for a name that cannot be one
    if weights and not is_published(name, weights) and not there:
        if weights == "DEFAULT":
            raise UsageError(f"--weights DEFAULT: {name} has none", hint="name a file of weights")
        raise MachineError(f"--weights {weights}: there is no such file")


def build(
    name: str, image_shape: tuple[int, int, int], classes: int, weights: str = ""
) -> nn.Module:
    """A new network; its weights come from torch's global generator, or from `weights`: a file,
    or a name such as DEFAULT for `torchvision:NAME`.

    It takes normalised images `[b, c, h, w]` and gives logits `[b, classes]`.

    Raises:
        UsageError: nobody knows the name, or the network cannot take such images.
        MachineError: the weights are not there.

    >>> sum(p.numel() for p in build("lenet", image_shape=(1, 28, 28), classes=10).parameters())
    81382
    """
    if plugins.is_own(name):
        model = check_logits(
            f"--model {name}", build_own(name, image_shape, classes), image_shape, classes
        )
    elif name.startswith(PREFIX):
        model = check_logits(
            f"--model {name}", build_zoo(name, image_shape, classes), image_shape, classes
        )
    else:
        model = _registered(name, image_shape, classes)
    if weights:
        from lrbench.models.weights import fill

        fill(model, name, weights)
    return model


def _registered(name: str, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    entry = MODELS.get(name, option="--model")
    _, height, width = image_shape
    if min(height, width) < LEAST_SIZE:
        raise UsageError(
            f"--model {name} needs images of at least {LEAST_SIZE} x {LEAST_SIZE} pixels, "
            f"not {height} x {width}"
        )
    return entry.make(image_shape, classes)
