"""A schedule, with a parameter of its own."""

from lrbench.schedules import register


@register(family="ordered")
def halving(t: int, T: int, b: float, E: int, by: float = 2.0) -> float:
    """Divides the LR at every epoch.

    Formula: `b / by^epoch`.
    """
    return float(b / by ** (min(t, T - 1) // E))
