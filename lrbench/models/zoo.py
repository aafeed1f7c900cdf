"""torchvision's networks, `torchvision:resnet18`, with new or pre-trained weights."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from lrbench.errors import MachineError, UsageError
from lrbench.registry import did_you_mean

if TYPE_CHECKING:
    from torch import nn

PREFIX = "torchvision:"
GREY, COLOUR = 1, 3


def build_zoo(name: str, image_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A classifier of torchvision for `classes`. For grey images the weights of its first
    convolution are summed over the three channels, which is equivalent to repeating the image."""
    from torch import nn
    from torchvision import models

    label = known(name)
    if image_shape[0] not in (GREY, COLOUR):
        raise UsageError(f"--model {name} takes images of 1 or 3 channels, not {image_shape[0]}")
    builder = models.get_model_builder(label)
    settings: dict[str, Any] = {"num_classes": classes}
    if label in ("googlenet", "inception_v3"):  # by default they have auxiliary heads
        settings |= {"aux_logits": False, "init_weights": True}
    if "weights_backbone" in inspect.signature(builder).parameters:
        settings["weights_backbone"] = None
    model: nn.Module = builder(weights=None, **settings)
    if image_shape[0] == GREY:
        first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
        first.weight = nn.Parameter(first.weight.detach().sum(1, keepdim=True))
        first.in_channels = GREY
    return model


def known(name: str) -> str:
    """torchvision's name of the classifier; UsageError if it has none of that name."""
    from torchvision import models

    label = name.removeprefix(PREFIX)
    names = models.list_models(module=models)
    if label not in names:
        raise UsageError(
            f"--model {name}: torchvision has no such classifier", hint=did_you_mean(label, names)
        )
    return label


def is_published(name: str, weights: str) -> bool:
    """Whether the weights are named as torchvision names its own, rather than a file.

    >>> is_published("torchvision:resnet18", "DEFAULT"), is_published("lenet", "DEFAULT")
    (True, False)
    """
    return name.startswith(PREFIX) and re.fullmatch(r"[A-Z][A-Z0-9_]*", weights) is not None


def published(name: str, weights: str) -> dict[str, Any]:
    """The state of torchvision's own weights, downloaded into torch's cache if needed."""
    from torchvision import models

    kinds = models.get_model_weights(known(name))
    names = ["DEFAULT", *(kind.name for kind in kinds)]
    if weights not in names:
        raise UsageError(f"--weights {weights}: {name} has none", hint=did_you_mean(weights, names))
    try:
        state: dict[str, Any] = kinds[weights].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as fault:
        reason = " ".join(str(fault).split())
        raise MachineError(
            f"--weights {weights}: they cannot be fetched ({reason})",
            hint="fetch them elsewhere, and name the file with --weights FILE",
        ) from None
    return state
