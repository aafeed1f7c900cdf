"""A schedule, with a parameter of its own."""

from lrbench.schedules import Clock, Curve, register


@register("halving", "divide the LR at every epoch", family="ordered", formula="b / by^epoch")
def halving(clock: Clock, lr: float, by: float = 2.0) -> Curve:
    return lambda step: lr / by ** (min(step, clock.steps - 1) // clock.steps_per_epoch)
