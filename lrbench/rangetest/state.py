"""Everything that a range test touches, put back bit for bit."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Generator = torch.Generator | np.random.Generator | np.random.RandomState | random.Random


@dataclass(frozen=True)
class Contents:
    """Tensors, and what was in them."""

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
    """Whatever happens inside, leave weights, buffers, gradients, training modes, the optimizer
    and every random generator (python, numpy, torch, cuda, the loaders' own) as they were.

    Gives the first contents of all tensors, to be restored before each training inside.
    """
    with (
        random_state([own for loader in loaders for own in generators(loader)]),
        module_state(modules, optimizer) as contents,
        optimizer_state(optimizer),
    ):
        yield contents


@contextmanager
def module_state(
    modules: Sequence[nn.Module], optimizer: torch.optim.Optimizer
) -> Iterator[Contents]:
    """Keep the tensors of modules and of an optimizer: contents, gradients, flags; and modes."""
    parts = [part for module in modules for part in module.modules()]
    modes = [part.training for part in parts]
    buffers = [dict(part._buffers) for part in parts]
    parameters = [p for part in parts for p in part._parameters.values() if p is not None]
    parameters += [p for group in optimizer.param_groups for p in group["params"]]
    held = [buffer for part in buffers for buffer in part.values() if buffer is not None]
    contents = Contents.of([*parameters, *held])
    grads = [parameter.grad for parameter in parameters]
    flags = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None  # nothing may be added to the gradients that are there
    try:
        yield contents
    finally:
        contents.restore()
        for part, mode, buffer in zip(parts, modes, buffers, strict=True):
            part.training = mode
            _put_back(part, buffer)
        for parameter, grad, flag in zip(parameters, grads, flags, strict=True):
            parameter.requires_grad_(flag)
            parameter.grad = grad


def _put_back(part: nn.Module, buffers: Mapping[str, Tensor | None]) -> None:
    """Give a part the very tensors that were its buffers."""
    import torch

    if isinstance(part, torch.jit.ScriptModule):  # it can only assign, and gains no new buffers
        for name, buffer in buffers.items():
            setattr(part, name, buffer)
        return
    part._buffers.clear()
    part._buffers.update(buffers)


@contextmanager
def optimizer_state(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Keep an optimizer: its state, its groups and whatever else hangs on it."""
    attributes = dict(vars(optimizer))
    groups = [dict(group) for group in optimizer.param_groups]
    try:
        lend_state(optimizer, attributes["state"])
        yield
    finally:
        vars(optimizer).clear()
        vars(optimizer).update(attributes)
        for group, values in zip(optimizer.param_groups, groups, strict=True):
            group.clear()
            group.update(values)


def lend_state(optimizer: torch.optim.Optimizer, state: Any) -> None:
    """Let the optimizer work on a copy of a state."""
    import torch

    def copied(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.clone()
        if isinstance(value, (list, tuple)):
            return type(value)(copied(item) for item in value)
        if isinstance(value, dict):
            return {key: copied(item) for key, item in value.items()}
        return value

    optimizer.state = defaultdict(dict)
    for parameter, values in state.items():
        optimizer.state[parameter] = {key: copied(value) for key, value in values.items()}


@contextmanager
def random_state(own: Sequence[Generator] = ()) -> Iterator[None]:
    """Keep the global generators of python, numpy, torch and CUDA, and some others."""
    import torch

    python, numpy, host = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    states = [_state(generator) for generator in own]
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(host)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        for generator, state in zip(own, states, strict=True):
            _set_state(generator, state)


def generators(loader: Any) -> list[Generator]:
    """The random generators that a DataLoader, its samplers and its dataset carry themselves."""
    import torch

    kinds = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
    batch_sampler = getattr(loader, "batch_sampler", None)
    holders = [
        loader,
        getattr(loader, "sampler", None),
        batch_sampler,
        getattr(batch_sampler, "sampler", None),
        getattr(loader, "dataset", None),
    ]
    held = [value for holder in holders for value in getattr(holder, "__dict__", {}).values()]
    held += [getattr(holder, "generator", None) for holder in holders]
    return list({id(one): one for one in held if isinstance(one, kinds)}.values())


def _state(generator: Generator) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state()


def _set_state(generator: Generator, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _seed(generator: Generator, seed: int) -> None:
    import torch

    if isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    elif isinstance(generator, np.random.Generator):
        kind: Any = type(generator.bit_generator)
        generator.bit_generator.state = kind(seed).state
    else:
        generator.seed(seed % 2**32)


def seed_all(seed: int, own: Sequence[Generator] = ()) -> None:
    """Seed every generator that `random_state` keeps."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed costs a millisecond
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    for generator in own:
        _seed(generator, seed)
