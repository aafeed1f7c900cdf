"""The user's own schedule, as an expression."""

from __future__ import annotations

from lrbench.schedules.definitions import Curve, register
from lrbench.schedules.expression import Formula
from lrbench.schedules.units import Clock

ONE = Formula("1")


@register(
    "expr",
    "an expression of step, steps, epoch, epochs and progress, times the base LR",
    family="custom",
    formula="b f(step, steps, epoch, epochs, progress)",
    torch="LambdaLR",
    jumps=True,
    own_scale=True,
)
def expr(clock: Clock, lr: float, formula: Formula = ONE) -> Curve:
    """The base LR times an expression; past the end of its phase it stays.

    `step` counts from the start of the phase, `steps` is its length, `epoch` = step / steps per
    epoch (whole with `update=epoch`), `progress` = step / steps. Source: torch's `LambdaLR`.

    >>> from lrbench.schedules import parse
    >>> parse('expr("1 if epoch < 1 else 0.5**epoch")').table(lr=1.0, steps=4, steps_per_epoch=2)
    [1.0, 1.0, 0.5, 0.3535533905932738]
    """
    last = clock.steps - 1

    def curve(step: int) -> float:
        return lr * formula(variables(clock, min(step, last)))

    return curve


def variables(clock: Clock, step: int) -> dict[str, float]:
    """What an expression may name, at a step of the phase."""
    return {
        "step": float(step),
        "steps": float(clock.steps),
        "epoch": step / clock.steps_per_epoch,
        "epochs": clock.epochs,
        "progress": step / clock.steps,
    }


def running_products(clock: Clock, factor: Formula) -> list[float]:
    """1, f(1), f(1) f(2), …: one for each epoch of the phase, f asked at the epoch's first step."""
    products = [1.0]
    for step in range(clock.steps_per_epoch, clock.steps, clock.steps_per_epoch):
        products.append(products[-1] * factor(variables(clock, step)))
    return products
