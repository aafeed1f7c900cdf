"""Restores everything that a range test touches, bit for bit."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.tasks.randomness import generators, random_state


class Contents:
    """Copies of tensors and of everything an optimizer holds, including its groups and the
    optimizers it wraps. Objects keep their identity on `restore`, because wrappers share state."""

    def __init__(self, tensors: Iterable[Tensor], optimizer: torch.optim.Optimizer) -> None:
        found: dict[int, Any] = {id(tensor): tensor for tensor in tensors}
        waiting: deque[Any] = deque([optimizer])
        while waiting:
            value = waiting.popleft()
            if hasattr(value, "param_groups") and not isinstance(value, type):
                waiting.append(vars(value))
            elif isinstance(value, tuple):
                waiting.extend(value)
            elif isinstance(value, (dict, list, deque, torch.Tensor)) and id(value) not in found:
                found[id(value)] = value
                if not isinstance(value, torch.Tensor):
                    waiting.extend(value.values() if isinstance(value, dict) else value)
        self._held = [
            (value, value.detach().clone() if isinstance(value, torch.Tensor) else value.copy())
            for value in found.values()
        ]

    def restore(self) -> None:
        with torch.no_grad():
            for value, held in self._held:
                if isinstance(value, torch.Tensor):
                    value.copy_(held)
                else:
                    value.clear()
                    (value.update if isinstance(value, dict) else value.extend)(held)


@contextmanager
def preserved(
    modules: Sequence[nn.Module], optimizer: torch.optim.Optimizer, *loaders: Any
) -> Iterator[Contents]:
    """Restore weights, buffers, gradients, training modes, the optimizer and every random generator
    (Python, NumPy, torch, CUDA, the loaders' own) on exit, even after an exception.

    Yields the initial values of all tensors and of the optimizer, to be restored before each
    training.
    """
    parts = [part for module in modules for part in module.modules()]
    kept = [(part, part.training, dict(part._buffers)) for part in parts]
    parameters = [p for part in parts for p in part._parameters.values() if p is not None]
    parameters += [p for group in optimizer.param_groups for p in group["params"]]
    buffers = [b for _, _, held in kept for b in held.values() if b is not None]
    contents = Contents([*parameters, *buffers], optimizer)
    grads = [(parameter, parameter.grad, parameter.requires_grad) for parameter in parameters]
    own = [generator for loader in loaders for generator in generators(loader)]
    with random_state(own):
        for parameter in parameters:
            parameter.grad = None  # training must not add to existing gradients
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
    if isinstance(part, torch.jit.ScriptModule):  # only allows assignment, and cannot gain buffers
        for name, buffer in buffers.items():
            setattr(part, name, buffer)
    else:
        part._buffers.clear()
        part._buffers.update(buffers)
