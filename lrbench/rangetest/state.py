"""Restore everything that a range test touches, bit for bit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrbench.tasks.randomness import generators, random_state

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Contents:
    """Tensors and a copy of their values."""

    tensors: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @staticmethod
    def of(tensors: Iterable[Tensor]) -> Contents:
        unique = tuple({id(tensor): tensor for tensor in tensors}.values())
        return Contents(unique, tuple(tensor.detach().clone() for tensor in unique))

    def restore(self) -> None:
        import torch

        with torch.no_grad():
            for tensor, value in zip(self.tensors, self.values, strict=True):
                tensor.copy_(value)


@contextmanager
def preserved(
    modules: Sequence[nn.Module], optimizer: torch.optim.Optimizer, *loaders: Any
) -> Iterator[Contents]:
    """Restore weights, buffers, gradients, training modes, the optimizer and every random generator
    (python, numpy, torch, cuda, the loaders' own) on exit, also after an exception.

    Yields the first values of all tensors, to be restored before each training inside.
    """
    parts = [part for module in modules for part in module.modules()]
    kept = [(part, part.training, dict(part._buffers)) for part in parts]
    parameters = [p for part in parts for p in part._parameters.values() if p is not None]
    parameters += [p for group in optimizer.param_groups for p in group["params"]]
    buffers = [b for _, _, held in kept for b in held.values() if b is not None]
    contents = Contents.of([*parameters, *buffers])
    grads = [(parameter, parameter.grad, parameter.requires_grad) for parameter in parameters]
    own = [generator for loader in loaders for generator in generators(loader)]
    with random_state(own), optimizer_state(optimizer):
        for parameter in parameters:
            parameter.grad = None  # existing gradients must not be added to
        try:
            yield contents
        finally:
            contents.restore()
            for part, mode, held in kept:
                part.training = mode
                _put_back(part, held)
            for parameter, grad, trainable in grads:
                parameter.requires_grad_(trainable)
                parameter.grad = grad


def _put_back(part: nn.Module, buffers: Mapping[str, Tensor | None]) -> None:
    """Give a module its original buffer tensors."""
    import torch

    if isinstance(part, torch.jit.ScriptModule):  # it can only assign, and has no new buffers
        for name, buffer in buffers.items():
            setattr(part, name, buffer)
        return
    part._buffers.clear()
    part._buffers.update(buffers)


@contextmanager
def optimizer_state(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Restore an optimizer: its state, its groups and its other attributes."""
    attributes = dict(vars(optimizer))
    groups = [dict(group) for group in optimizer.param_groups]
    try:
        copy_state(optimizer, attributes["state"])
        yield
    finally:
        vars(optimizer).clear()
        vars(optimizer).update(attributes)
        for group, values in zip(optimizer.param_groups, groups, strict=True):
            group.clear()
            group.update(values)


def copy_state(optimizer: torch.optim.Optimizer, state: Mapping[Any, Any]) -> None:
    """Give the optimizer a copy of a state to work on."""
    optimizer.state = defaultdict(dict)
    optimizer.state.update({parameter: _copied(values) for parameter, values in state.items()})


def _copied(value: Any) -> Any:
    if hasattr(value, "clone"):
        return value.clone()
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(item) for item in value)
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value
