"""Save, restore and seed the random generators that a training may draw from."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

Generator = torch.Generator | np.random.Generator | np.random.RandomState | random.Random


@contextmanager
def random_state(own: Sequence[Generator] = ()) -> Iterator[None]:
    """Restore the global generators of Python, NumPy, torch and CUDA, and `own`, on exit."""
    restore: list[Callable[[], Any]] = [
        partial(random.setstate, random.getstate()),
        partial(np.random.set_state, np.random.get_state()),
        partial(torch.set_rng_state, torch.get_rng_state()),
        *map(_restoring, own),
    ]
    if torch.cuda.is_available():
        restore.append(partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    try:
        yield
    finally:
        for each in restore:
            each()


def _restoring(generator: Generator) -> Callable[[], Any]:
    """A function that restores the generator's current state."""
    if isinstance(generator, random.Random):
        return partial(generator.setstate, generator.getstate())
    if isinstance(generator, np.random.Generator):
        bits = generator.bit_generator
        return partial(setattr, bits, "state", bits.state)
    other: Any = generator
    return partial(other.set_state, other.get_state())


def seed_all(seed: int, own: Sequence[Generator] = ()) -> None:
    """Seed every generator that `random_state` restores."""
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
    batch_sampler = getattr(loader, "batch_sampler", None)
    holders = [loader, batch_sampler, getattr(batch_sampler, "sampler", None)]
    holders += [getattr(loader, name, None) for name in ("sampler", "dataset")]
    held = [value for holder in holders for value in getattr(holder, "__dict__", {}).values()]
    held += [getattr(holder, "generator", None) for holder in holders]
    return list({id(one): one for one in held if isinstance(one, Generator)}.values())
