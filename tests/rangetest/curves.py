"""Curves whose steepest descent is known."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TRUTH = -3.0  # log10 of the LR at which `hill` falls fastest


def hill(points: int = 100, low: float = -7.0, high: float = 1.0) -> tuple[Floats, Floats]:
    """A logistic fall from 2.3 to 0.3, steepest at 1e-3, and a blow-up above 1e-1."""
    u = np.linspace(low, high, points)
    loss = 2.3 - 2 / (1 + np.exp(-4 * (u + 3))) + 8 * np.clip(u + 1, 0, None) ** 2
    return 10**u, loss


def decades(first: float | None, second: float | None) -> float:
    """How far two learning rates lie apart."""
    assert first is not None and second is not None
    return abs(float(np.log10(first / second)))
