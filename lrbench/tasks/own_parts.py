"""The user's own loss and augmentation of an image classification."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Loss = Callable[["Tensor", "Tensor"], "Tensor"]
Change = Callable[["Tensor", "torch.Generator"], "Tensor"]


def own_loss(name: str, classes: int, device: torch.device) -> Loss:
    """The user's `(logits [b, classes], labels [b]) -> mean loss`, tried on two logits: a function,
    or a class such as `torch.nn:CrossEntropyLoss` that makes one. A module is copied to the device.

    Raises:
        UsageError: it does not return a loss.
    """
    import torch

    option = "--loss"
    function: Any = plugins.load_callable(name, option)
    if inspect.isclass(function):
        function = plugins.call(name, function, {}, option=option)
    logits = torch.zeros(2, classes, requires_grad=True)
    with plugins.blamed(name, option):
        value = function(logits, torch.arange(2) % classes)
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
        what = f"shape {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
        raise UsageError(
            f"{option} {name}: called with logits [2, {classes}] and labels [2] it gives {what}, "
            "not one number with a gradient, the mean loss"
        )
    if isinstance(function, torch.nn.Module):
        function = deepcopy(function).to(device)
    return lambda logits, labels: function(logits, labels).reshape(())


def own_change(name: str) -> Change:
    """The user's `(images, generator) -> images`, or `(images) -> images`.

    Raises:
        UsageError: it does not accept this call.
    """
    option = "--augment"
    function = plugins.load_callable(name, option)
    wants = _wants_generator(name, function, option)

    def change(images: Tensor, generator: torch.Generator) -> Tensor:
        import torch

        with plugins.blamed(name, option):
            found: Any = function(images, generator) if wants else function(images)
        if not isinstance(found, torch.Tensor) or found.shape != images.shape:
            what = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise UsageError(
                f"{option} {name}: for images {list(images.shape)} it gives {what}, not images of "
                "the same shape"
            )
        return found

    return change


def _wants_generator(name: str, function: Callable[..., Any], option: str) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False
    for arguments in ((None, None), (None,)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return len(arguments) == 2
    raise UsageError(
        f"{option} {name}: it is called as {name.rpartition(':')[2]}(images, generator), or with "
        f"images alone, and its signature is {signature}"
    )
