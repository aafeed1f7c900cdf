"""Load weights into a new network whose last layer may have another shape."""

import io
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from lrbench.errors import MachineError, UsageError
from lrbench.files import read_file
from lrbench.models.zoo import is_published, published

WRAPPERS = ("state_dict", "model_state_dict", "model")


def load_weights(model: nn.Module, name: str, weights: str, option: str = "--weights") -> None:
    """Load `weights` (a file, or a name of torchvision's) into the network, in place.

    A last layer of another shape keeps its new weights, as the head of a fine-tuning does;
    everything else must fit.
    """
    known = is_published(name, weights)
    state = published(name, weights) if known else read(Path(weights).expanduser(), option)
    own, head = model.state_dict(), last_layer(model)
    for key, new in own.items():
        found = _fitted(state[key], new) if key in state else None
        if found is not None and found.shape == new.shape:
            own[key] = found
        elif key.rpartition(".")[0] != head:
            what = f"there is no {key}"
            if found is not None:
                what = f"{key} is {tuple(found.shape)}, not {tuple(new.shape)}"
            raise UsageError(f"{option} {weights}: not of {name}: {what}")
    model.load_state_dict(own)


@cache
def read(path: Path, option: str = "--weights") -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote: a state dict, bare or under `state_dict`.
    A file is read once.

    Raises:
        MachineError: the file does not exist, or contains anything else.
    """
    memory = io.BytesIO(read_file(path, option))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unusual pickle is refused below
            content = torch.load(memory, map_location="cpu", weights_only=True)
    except Exception as fault:  # a damaged file may fail in any part of torch's reader
        raise MachineError(
            f"{option} {path}: it is not a file of weights, or damaged ({type(fault).__name__})",
            hint="write it with torch.save(model.state_dict(), FILE)",
        ) from None
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise MachineError(f"{option} {path}: it holds a {type(content).__name__}, no state dict")
    return {
        str(key).removeprefix("module."): value
        for key, value in content.items()
        if isinstance(value, torch.Tensor)
    }


def last_layer(model: nn.Module) -> str:
    """The name of the last layer that has parameters of its own.

    >>> from torch import nn
    >>> last_layer(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU()))
    '2'
    """
    owners = [name for name, module in model.named_modules() if [*module.parameters(recurse=False)]]
    return owners[-1] if owners else ""


def _fitted(source: Tensor, target: Tensor) -> Tensor:
    """A first convolution for grey images takes the sum over the three channels of a colour one."""
    grey = source.ndim == 4 and target.ndim == 4 and (source.shape[1], target.shape[1]) == (3, 1)
    return source.sum(1, keepdim=True) if grey else source
