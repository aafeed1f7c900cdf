"""Networks by name: those in `networks`, torchvision's, as in `torchvision:resnet18`, and the
user's own, `module:attribute`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import MachineError, UsageError
from lrbench.models.weights import PREFIX, build_zoo, is_published, load_weights
from lrbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn

# (image shape [c, h, w], number of classes) -> a network from [b, c, h, w] to logits [b, classes];
# with reads="text": (context [n], size of the vocabulary) -> a network from int64 [b, n] to logits
# [b, n, vocabulary]
Build = Callable[[Any, int], "nn.Module"]
MODELS: Registry[Build] = Registry("model", "lrbench.models", skip=("layers",))
LEAST_SIZE = 28  # pixels
OPTION = "--model"

__all__ = ["LEAST_SIZE", "MODELS", "build", "check"]


def check(name: str, weights: str = "", reads: str = "images") -> None:
    """Raise an error if a network is unknown or does not read `reads` ("images" or "text"), or if
    the weights do not exist; does not import torch."""
    takes = "images"
    if plugins.is_own(name):
        _load_own(name)
        takes = reads
    elif not name.startswith(PREFIX):
        takes = MODELS.get(name, option=OPTION).facts.get("reads", takes)
    if takes != reads:
        hint = "name a --dataset such as text:default" if takes == "text" else "use --model gpt"
        raise UsageError(f"{OPTION} {name} reads {takes}, not {reads}", hint=hint)
    if not weights or is_published(name, weights) or os.path.isfile(Path(weights).expanduser()):
        return
    if weights == "DEFAULT":
        raise UsageError(f"--weights DEFAULT: {name} has none", hint="name a weights file")
    raise MachineError(f"--weights {weights}: there is no such file")


def build(name: str, shape: tuple[int, ...], classes: int, weights: str = "") -> nn.Module:
    """A new network from normalised images `[b, c, h, w]` to logits `[b, classes]`; if a sample
    has the shape [n] instead of [c, h, w], from characters `[b, n]` to logits `[b, n, classes]`.

    Its weights come from torch's global generator, or from `weights`: a file, or a name such as
    DEFAULT for `torchvision:NAME`.

    Raises:
        UsageError: an unknown name, or a network that does not accept such samples.
        MachineError: the weights do not exist.

    >>> sum(p.numel() for p in build("lenet", (1, 28, 28), classes=10).parameters())
    81382
    """
    if plugins.is_own(name) or name.startswith(PREFIX):
        make = build_zoo if name.startswith(PREFIX) else _build_own
        model = make(name, shape, classes)
        _check_logits(name, model, shape, classes)
    else:
        entry = MODELS.get(name, option=OPTION)
        height, width = shape[-2:] if len(shape) == 3 else (LEAST_SIZE, LEAST_SIZE)
        if min(height, width) < LEAST_SIZE:
            raise UsageError(
                f"{OPTION} {name} needs images of at least {LEAST_SIZE} x {LEAST_SIZE} pixels, "
                f"not {height} x {width}"
            )
        model = entry.make(shape, classes)
    if weights:
        load_weights(model, name, weights)
    return model


def _build_own(name: str, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Call the user's function or class with `image_shape` (c, h, w) and `classes` if its signature
    names them; for text, with `context` and `vocabulary`."""
    import torch

    with torch.random.fork_rng(devices=[]):  # an import may draw random numbers
        function = _load_own(name)
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


def _load_own(name: str) -> Callable[..., Any]:
    """The function or class that makes the network; raises UsageError for an existing one."""
    function = plugins.load_callable(name, OPTION)
    if not isinstance(function, type) and hasattr(function, "state_dict"):
        raise UsageError(
            f"{OPTION} {name}: it is an existing network, so no seed can draw its weights",
            hint="name a function or a class that makes one",
        )
    return function


@plugins.printing_apart()
def _check_logits(name: str, model: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """Try the network on two samples, which also initialises its lazy layers."""
    import torch

    text = len(shape) == 1
    samples = f"{'texts' if text else 'images'} of {' x '.join(map(str, shape))}"
    expected = (2, *(shape if text else ()), classes)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(2, *shape, dtype=torch.long if text else None))
    except Exception as fault:  # a user's network may raise anything
        what = f"it does not accept {samples} ({plugins.described(fault)})"
        raise UsageError(f"{OPTION} {name}: {what}") from fault
    finally:
        model.train(training)
    if not isinstance(logits, torch.Tensor) or logits.shape != expected:
        what = f"for 2 {samples} it returns {plugins.kind_of(logits)}, not logits {list(expected)}"
        raise UsageError(f"{OPTION} {name}: {what}")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(f"{OPTION} {name}: it has no trainable parameters")
