"""Networks by name: those of `networks`, torchvision's, `torchvision:resnet18`, and the user's own,
`module:attribute`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import MachineError, UsageError
from lrbench.models.own_model import build_own, check_logits, load_own
from lrbench.models.zoo import PREFIX, build_zoo, is_published
from lrbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn

# (image shape [c, h, w], number of classes) -> a network from [b, c, h, w] to logits [b, classes];
# registered with reads="text", (most characters [n], their number) -> one from int64 [b, n] to
# logits [b, n, characters]
Build = Callable[[Any, int], "nn.Module"]
MODELS: Registry[Build] = Registry("model", "lrbench.models", skip=("layers", "weights"))
LEAST_SIZE = 28  # pixels

__all__ = ["LEAST_SIZE", "MODELS", "build", "check"]


def check(name: str, weights: str = "", reads: str = "images") -> None:
    """Refuse an unknown network, one that does not read `images` or `text`, or weights that do not
    exist, without importing torch."""
    takes = "images"
    if plugins.is_own(name):
        load_own(name)
        takes = reads
    elif not name.startswith(PREFIX):
        takes = MODELS.get(name, option="--model").facts.get("reads", takes)
    if takes != reads:
        hint = "name a --dataset such as text:default" if takes == "text" else "use --model gpt"
        raise UsageError(f"--model {name} reads {takes}, not {reads}", hint=hint)
    if not weights or is_published(name, weights) or os.path.isfile(Path(weights).expanduser()):
        return
    if weights == "DEFAULT":
        raise UsageError(f"--weights DEFAULT: {name} has none", hint="name a file of weights")
    raise MachineError(f"--weights {weights}: there is no such file")


def build(name: str, shape: tuple[int, ...], classes: int, weights: str = "") -> nn.Module:
    """A new network from normalised images `[b, c, h, w]` to logits `[b, classes]`; where the shape
    of a sample is not [c, h, w] but [n], from characters `[b, n]` to logits `[b, n, classes]`.

    Its weights come from torch's global generator, or from `weights`: a file, or a name such as
    DEFAULT for `torchvision:NAME`.

    Raises:
        UsageError: an unknown name, or a network that does not take such images.
        MachineError: the weights do not exist.

    >>> sum(p.numel() for p in build("lenet", (1, 28, 28), classes=10).parameters())
    81382
    """
    if plugins.is_own(name) or name.startswith(PREFIX):
        make = build_zoo if name.startswith(PREFIX) else build_own
        model = make(name, shape, classes)
        check_logits(f"--model {name}", model, shape, classes)
    else:
        entry = MODELS.get(name, option="--model")
        height, width = shape[-2:] if len(shape) == 3 else (LEAST_SIZE, LEAST_SIZE)
        if min(height, width) < LEAST_SIZE:
            raise UsageError(
                f"--model {name} needs images of at least {LEAST_SIZE} x {LEAST_SIZE} pixels, "
                f"not {height} x {width}"
            )
        model = entry.make(shape, classes)
    if weights:
        from lrbench.models.weights import load_weights

        load_weights(model, name, weights)
    return model
