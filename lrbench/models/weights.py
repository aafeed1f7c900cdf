"""Networks and weights from elsewhere: torchvision's, as in `torchvision:resnet18`, and weights
from files. The last layer may differ in shape from the file's."""

from __future__ import annotations

import inspect
import io
import re
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import MachineError, UsageError
from lrbench.files import read_file
from lrbench.registry import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "torchvision:"
GREY, COLOUR = 1, 3
WRAPPERS = ("state_dict", "model_state_dict", "model")


def build_zoo(name: str, image_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A torchvision classifier with `classes` outputs. For grey images the weights of its first
    convolution are summed over the three channels, which is equivalent to repeating the image."""
    from torch import nn
    from torchvision import models

    label = _known(name)
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


def _known(name: str) -> str:
    """torchvision's name for the classifier. Raises UsageError if there is none."""
    from torchvision import models

    label = name.removeprefix(PREFIX)
    names = models.list_models(module=models)
    if label not in names:
        raise UsageError(
            f"--model {name}: torchvision has no such classifier", hint=did_you_mean(label, names)
        )
    return label


def load_weights(model: nn.Module, name: str, weights: str, option: str = "--weights") -> None:
    """Load `weights` (a file, or one of torchvision's names) into the network, in place.

    A last layer of another shape keeps its new weights, as usual in fine-tuning; everything else
    must fit.
    """
    known = is_published(name, weights)
    state = _published(name, weights) if known else read(Path(weights).expanduser(), option)
    own, head = model.state_dict(), last_layer(model)
    for key, new in own.items():
        found = _fitted(state[key], new) if key in state else None
        if found is not None and found.shape == new.shape:
            own[key] = found
        elif key.rpartition(".")[0] != head:
            what = f"there is no {key}"
            if found is not None:
                what = f"{key} is {tuple(found.shape)}, not {tuple(new.shape)}"
            raise UsageError(f"{option} {weights} does not fit {name}: {what}")
    model.load_state_dict(own)


def is_published(name: str, weights: str) -> bool:
    """True if `weights` is a name in torchvision's style, False for a file.

    >>> is_published("torchvision:resnet18", "DEFAULT"), is_published("lenet", "DEFAULT")
    (True, False)
    """
    return name.startswith(PREFIX) and re.fullmatch(r"[A-Z][A-Z0-9_]*", weights) is not None


def _published(name: str, weights: str) -> dict[str, Tensor]:
    """The state dict of torchvision weights, downloaded into torch's cache if needed."""
    from torchvision import models

    kinds = models.get_model_weights(_known(name))
    names = ["DEFAULT", *(kind.name for kind in kinds)]
    if weights not in names:
        raise UsageError(f"--weights {weights}: {name} has none", hint=did_you_mean(weights, names))
    try:
        state: dict[str, Tensor] = kinds[weights].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as fault:
        reason = " ".join(str(fault).split())
        raise MachineError(
            f"--weights {weights}: they cannot be fetched ({reason})",
            hint="fetch them elsewhere, and name the file with --weights FILE",
        ) from None
    return state


@cache
def read(path: Path, option: str = "--weights") -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote: a state dict, bare or under `state_dict`.
    Each file is read only once.

    Raises:
        MachineError: the file does not exist, or contains anything else.
    """
    import torch

    memory = io.BytesIO(read_file(path, option))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unusual pickle is refused below
            content = torch.load(memory, map_location="cpu", weights_only=True)
    except Exception as fault:  # a damaged file may fail in any part of torch's reader
        raise MachineError(
            f"{option} {path}: it is not a weights file, or it is damaged ({type(fault).__name__})",
            hint="write it with torch.save(model.state_dict(), FILE)",
        ) from None
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise MachineError(
            f"{option} {path}: it holds a {type(content).__name__}, not a state dict"
        )
    return {
        str(key).removeprefix("module."): value
        for key, value in content.items()
        if isinstance(value, torch.Tensor)
    }


def last_layer(model: nn.Module) -> str:
    """The name of the last layer with parameters.

    >>> from torch import nn
    >>> last_layer(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU()))
    '2'
    """
    owners = [name for name, module in model.named_modules() if [*module.parameters(recurse=False)]]
    return owners[-1] if owners else ""


def _fitted(source: Tensor, target: Tensor) -> Tensor:
    """The source; for a grey first convolution, the sum over the three channels of a colour one."""
    grey = source.ndim == 4 and target.ndim == 4 and (source.shape[1], target.shape[1]) == (3, 1)
    return source.sum(1, keepdim=True) if grey else source
