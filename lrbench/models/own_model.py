"""The user's own network: `module:attribute`, a function that makes one or a class of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

OPTION = "--model"


def build_own(name: str, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Call the user's function or class with those of `image_shape` (c, h, w) and `classes` that
    its signature names; for text, of `context` and `vocabulary`."""
    import torch

    with torch.random.fork_rng(devices=[]):  # an import may draw random numbers
        function = load_own(name)
    offered: dict[str, Any] = {"image_shape": shape, "classes": classes}
    synonyms: dict[str, Any] = {"input_shape": shape, "in_channels": shape[0]}
    synonyms |= dict.fromkeys(("num_classes", "n_classes"), classes)
    if len(shape) == 1:
        offered = {"context": shape[0], "vocabulary": classes}
        synonyms = {"block_size": shape[0], "vocab_size": classes}
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
def check_logits(option: str, model: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """Try the network on two samples; this also initialises its lazy layers."""
    import torch

    text = len(shape) == 1
    what = "texts" if text else "images"
    samples = f"{what} of {' x '.join(str(size) for size in shape)}"
    expected = (2, *(shape if text else ()), classes)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(2, *shape, dtype=torch.long if text else None))
    except Exception as fault:  # a user's network may raise anything
        raise UsageError(f"{option}: it takes no {samples} ({plugins.described(fault)})") from fault
    finally:
        model.train(training)
    if not isinstance(logits, torch.Tensor) or logits.shape != expected:
        found = plugins.kind_of(logits)
        raise UsageError(f"{option}: for 2 {samples} it gives {found}, not logits {list(expected)}")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(f"{option}: it has no parameter to train")
