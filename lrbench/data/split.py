"""Stratified splits without random numbers: always the same, on every machine."""

import numpy as np
from numpy.typing import NDArray

from lrbench.data.image_data import Labels

Indices = NDArray[np.int64]


def stratified(labels: Labels, fraction: float) -> tuple[Indices, Indices]:
    """(kept, held out): ascending indices, with `fraction` of every class held out.

    Of the n members of a class, k = n·fraction are held out, rounded half up: at least one if there
    are two or more, and never all. They are members (2i + 1)·n // 2k, i = 0 .. k-1, spread evenly.

    >>> import numpy as np
    >>> stratified(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]), 0.2)
    (array([0, 1, 3, 4, 5, 6, 8, 9]), array([2, 7]))
    """
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        size = len(members)
        count = max(min(1, size - 1), min(size - 1, int(size * fraction + 0.5)))
        if count:
            held[members[(2 * np.arange(count) + 1) * size // (2 * count)]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
