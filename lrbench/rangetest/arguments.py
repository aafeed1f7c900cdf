"""What is handed to `lrbench.find`, checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lrbench.errors import UsageError
from lrbench.experiment import FindSpec, refusal
from lrbench.optimizers.own_optimizer import needs_closure

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

SAID = {"step": "per", "verify_steps": "steps"}  # fields whose argument has another name


def checked_spec(names: Iterable[str] = (), **fields: Any) -> FindSpec:
    """The range test of some arguments; `names` are the fields whose argument `SAID` names."""
    try:
        return FindSpec(**fields)
    except ValidationError as fault:
        first = fault.errors()[0]
        name = next(str(part) for part in first["loc"] if part != "recipe")
        said = SAID[name] if name in names else name
        raise UsageError(f"{said}: {refusal(first)}, not {first['input']!r:.60}") from None


def checked_seeds(seeds: Any) -> tuple[Any, ...]:
    """The seeds: as many, from 0, or those. Equal seeds would look like agreement.

    >>> checked_seeds(2), checked_seeds([7, 5])
    ((0, 1), (7, 5))
    """
    try:
        found = tuple(range(seeds) if isinstance(seeds, Integral) else seeds)
    except TypeError:
        raise UsageError(f"seeds: pass how many, or a list, not {seeds!r:.60}") from None
    if not found:
        raise UsageError(f"seeds: at least one is needed, not {seeds!r:.60}")
    if len(set(found)) < len(found):
        raise UsageError(f"seeds: each must be another, not {seeds!r:.60}")
    return found


def check_callable(**functions: Any) -> None:
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise UsageError(f"{name}: pass a function, not a {type(function).__name__}")


def check_model(model: nn.Module) -> None:
    """Refuse what is no module, or a module whose weights cannot be put back."""
    import torch
    from torch.nn.parameter import is_lazy

    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"model: pass an nn.Module, not {_kind(model)}")
    tensors = [*model.parameters(), *model.buffers()]
    if any(is_lazy(tensor) for tensor in tensors):
        raise UsageError("model: its lazy layers have no weights yet", hint="call it on a batch")
    if any(tensor.is_inference() for tensor in tensors):
        raise UsageError("model: it was made in inference mode, so it cannot be trained")


def check_optimizer(model: nn.Module, optimizer: Optimizer) -> None:
    """Refuse what is no optimizer, or an optimizer that cannot train this model."""
    if isinstance(optimizer, type) or not hasattr(optimizer, "param_groups"):
        raise UsageError(f"optimizer: pass one of the model's parameters, not {_kind(optimizer)}")
    if needs_closure(optimizer):
        raise UsageError(
            f"optimizer: steps of {type(optimizer).__name__} need a closure, which is not supported"
        )
    own = {id(parameter) for parameter in model.parameters()}
    stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not own & stepped:
        raise UsageError("optimizer: it holds none of the model's parameters")


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
