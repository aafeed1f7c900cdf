"""The user's own network: `module:attribute`, a function that makes one or a class of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

OPTION = "--model"


def build_own(name: str, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Call the user's function or class with those of `image_shape` (c, h, w) and `classes` that
    its signature names."""
    import torch

    with torch.random.fork_rng(devices=[]):  # an import may draw random numbers
        function = load_own(name)
    offered = {"image_shape": image_shape, "classes": classes}
    synonyms = {"input_shape": image_shape, "in_channels": image_shape[0]}
    synonyms |= dict.fromkeys(("num_classes", "n_classes"), classes)
    found = plugins.call(name, function, offered, option=OPTION, extra=synonyms)
    if not isinstance(found, torch.nn.Module):
        raise UsageError(f"{OPTION} {name}: it made {plugins.kind_of(found)}, not an nn.Module")
    return found


def load_own(name: str) -> Callable[..., Any]:
    """The function or class that makes the network; a network that exists is refused."""
    function = plugins.load_callable(name, OPTION)
    if not isinstance(function, type) and hasattr(function, "state_dict"):
        raise UsageError(
            f"{OPTION} {name}: it is a network that was made already, so that no seed can draw "
            "its weights",
            hint="name a function or a class that makes one",
        )
    return function


@plugins.printing_apart()
def check_logits(
    option: str, model: nn.Module, image_shape: tuple[int, int, int], classes: int
) -> None:
    """Try the network on two images; this also initialises its lazy layers."""
    import torch

    shape = " x ".join(str(size) for size in image_shape)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(2, *image_shape))
    except Exception as fault:  # a user's network may raise anything
        raise UsageError(
            f"{option}: it takes no images of {shape} ({plugins.described(fault)})"
        ) from fault
    finally:
        model.train(training)
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        what = plugins.kind_of(logits)
        raise UsageError(
            f"{option}: for 2 images of {shape} it gives {what}, not logits [2, {classes}]"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(f"{option}: it has no parameter to train")
