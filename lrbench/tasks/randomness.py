"""The random generators that a training may draw from: keep them, seed them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    Generator = torch.Generator | np.random.Generator | np.random.RandomState | random.Random


@contextmanager
def random_state(own: Sequence[Generator] = ()) -> Iterator[None]:
    """Restore the global generators of python, numpy, torch and CUDA, and those in `own`."""
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


def seed_all(seed: int, own: Sequence[Generator] = ()) -> None:
    """Seed every generator that `random_state` restores."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed takes a millisecond
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    for generator in own:
        if isinstance(generator, torch.Generator):
            generator.manual_seed(seed)
        elif isinstance(generator, np.random.Generator):
            kind: Any = type(generator.bit_generator)
            generator.bit_generator.state = kind(seed).state
        else:
            generator.seed(seed % 2**32)


def generators(loader: Any) -> list[Generator]:
    """The random generators of a DataLoader, its samplers and its dataset."""
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
