"""The user's own loss and augmentation of an image classification."""

import inspect
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from lrbench import plugins
from lrbench.errors import UsageError

Loss = Callable[["Tensor", "Tensor"], "Tensor"]
Change = Callable[["Tensor", "torch.Generator"], "Tensor"]


def own_loss(name: str, classes: int, device: torch.device) -> Loss:
    """The user's `(logits [b, classes], labels [b]) -> mean loss`, tried on two logits: a function,
    or a class such as `torch.nn:CrossEntropyLoss` that makes one. A module is copied to the device.
    """
    function: Any = plugins.load_callable(name, "--loss")
    if inspect.isclass(function):
        function = plugins.call(name, function, {}, option="--loss")
    logits = torch.zeros(2, classes, requires_grad=True)
    with plugins.blamed(name, "--loss"):
        value = function(logits, torch.arange(2) % classes)
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
        raise UsageError(
            f"--loss {name}: called with logits [2, {classes}] and labels [2] it gives "
            f"{plugins.kind_of(value)}, not one number with a gradient, the mean loss"
        )
    if isinstance(function, torch.nn.Module):
        function = deepcopy(function).to(device)
    return lambda logits, labels: function(logits, labels).reshape(())


def own_change(name: str) -> Change:
    """The user's `(images, generator) -> images`, or `(images) -> images`."""
    function = plugins.load_callable(name, "--augment")
    wants = _wants_generator(name, function)

    def change(images: Tensor, generator: torch.Generator) -> Tensor:
        with plugins.blamed(name, "--augment"):
            found: Any = function(images, generator) if wants else function(images)
        if not isinstance(found, torch.Tensor) or found.shape != images.shape:
            raise UsageError(
                f"--augment {name}: for images {list(images.shape)} it gives "
                f"{plugins.kind_of(found)}, not images of the same shape"
            )
        return found

    return change


def _wants_generator(name: str, function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind("images", "generator")
        return True
    except (TypeError, ValueError):  # of another number of arguments, or written in C
        plugins.check_call(name, function, ("images",), option="--augment")
        return False
