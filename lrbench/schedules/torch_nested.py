"""torch's schedulers that are made from others, or from the user's own expression."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from lrbench.errors import Notice, UsageError
from lrbench.schedules.base import Call, Schedule
from lrbench.schedules.custom import running_products, variables
from lrbench.schedules.definitions import Arguments, Bounds, Curve
from lrbench.schedules.expression import Formula
from lrbench.schedules.torch_names import Law, multiplies, of_torch
from lrbench.schedules.torch_notices import late_milestones
from lrbench.schedules.units import Clock

Milestones = tuple[Annotated[int, Bounds(0)], ...]


@of_torch(
    "LambdaLR",
    "the base LR times an expression of the count, `epoch`",
    family="custom",
    formula="b f(n)",
    jumps=True,
    own_scale=True,
    example='LambdaLR(lr_lambda="0.95**epoch")',
)
def lambda_lr(clock: Clock, lr: float, *, lr_lambda: Formula) -> Law:
    """The base LR times `lr_lambda`, an expression in quotes.

    In it `epoch` and `step` are both the count, torch's argument of the function, `epochs` and
    `steps` the number of counts in the phase, and `progress` is the one over the other.
    Past the end of its phase it stays. Formula: `b f(n)`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> parse('LambdaLR(lr_lambda="0.5**epoch")').table(lr=1.0, steps=4, steps_per_epoch=2)
    [1.0, 1.0, 0.5, 0.5]
    """
    return Law(lambda count: lr * lr_lambda(variables(clock, min(count, clock.steps - 1))))


@of_torch(
    "MultiplicativeLR",
    "multiplied at each count by an expression of it, `epoch`",
    family="custom",
    formula="b f(1) f(2) … f(n)",
    jumps=True,
    own_scale=True,
    example='MultiplicativeLR(lr_lambda="0.95")',
)
def multiplicative_lr(clock: Clock, lr: float, *, lr_lambda: Formula) -> Law:
    """The LR before it times `lr_lambda`, an expression as in `LambdaLR`, from the count 1 on.

    Past the end of its phase it stays. Formula: `b f(1) f(2) … f(n)`. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> spec = 'MultiplicativeLR(lr_lambda="0.5 if epoch < 3 else 1")'
    >>> parse(spec).table(lr=1.0, steps=5, steps_per_epoch=1)
    [1.0, 0.5, 0.25, 0.25, 0.25]
    """
    products = running_products(clock, lr_lambda)
    last = len(products) - 1
    return multiplies(
        lr,
        lambda count: products[min(count, last)],
        enter=lambda found: found * lr_lambda(variables(clock, 0)),
    )


def nested_fixed(arguments: Arguments) -> float | None:
    """The LR that one of the nested schedulers names."""
    named = (schedule.fixed_lr for schedule in arguments["schedulers"])
    return next((lr for lr in named if lr is not None), None)


def nested_notices(call: Any, clock: Clock, arguments: Arguments) -> Iterable[Notice]:
    """What the nested schedulers have to say, each about its share of the phase."""
    update = call.update or call.definition.update
    counted = clock.counted(update)
    schedulers, start = arguments["schedulers"], 0
    if arguments.get("milestones"):  # in a sequence only the last meets the end of the phase
        schedulers, start = schedulers[-1:], arguments["milestones"][-1]
    if start >= counted.steps:
        return
    for nested in schedulers:
        if isinstance(nested, Call):
            own = replace(nested, update=None if nested.definition.update == update else update)
            for rule in own.definition.notices:
                yield from rule(own, counted.phase(start, counted.steps - start), own.arguments)


@of_torch(
    "SequentialLR",
    "one scheduler after the other, each from its own start",
    family="custom",
    formula="scheduler #{m <= n} at n - m",
    jumps=True,
    own_scale=True,
    fixed=nested_fixed,
    notices=[late_milestones, nested_notices],
    example="SequentialLR([LinearLR(total_iters=5), CosineAnnealingLR(T_max=95)], milestones=[5])",
)
def sequential_lr(
    clock: Clock, lr: float, *, schedulers: tuple[Schedule, ...], milestones: Milestones
) -> Law:
    """At each milestone the next of the schedulers begins, from the base LR and the count 0.

    All of them are stepped as the whole is: once an epoch, or with `update=step` once a step.
    `MultiplicativeLR` goes on from the LR that it finds. A `OneCycleLR` changes the base LR of
    what is constructed after it, and of the first, as it does in torch. With a milestone of 0
    torch before 2.13 keeps the first factor of a scheduler that is over before it began, and comes
    a count late; here the LRs are those of newer ones. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> spec = "SequentialLR([ConstantLR(factor=0.1), ExponentialLR(gamma=0.5)], milestones=[2])"
    >>> parse(spec).table(lr=1.0, steps=5, steps_per_epoch=1)
    [0.1, 0.1, 1.0, 0.5, 0.25]

    Raises:
        UsageError: something else than torch's schedulers is nested, or one that torch's class
            refuses or fails on; the milestones do not fit them.
    """
    if len(milestones) != len(schedulers) - 1:
        raise UsageError(
            f"SequentialLR of {len(schedulers)} schedulers needs one milestone less, "
            f"not {len(milestones)}"
        )
    if list(milestones) != sorted(milestones):
        raise UsageError("the milestones of SequentialLR must rise")
    for schedule in schedulers:
        _refuse_nest(schedule)
    starts = (0, *milestones)
    clocks = [clock.phase(start, max(1, clock.steps - start)) for start in starts]
    laws, initial = _constructed("SequentialLR", schedulers, clocks, lr)
    first = bisect_right(milestones, 0)
    laws[first] = _law("SequentialLR", schedulers[first], clocks[first], initial)

    def place(count: int) -> tuple[Law, int, int]:
        index = bisect_right(milestones, count)
        return laws[index], starts[index], count - starts[index]

    def curve(count: int) -> float:
        law, start, own = place(count)
        if law.enter is None or law.factor is None or start == 0:
            return law.lr(own)
        return law.enter(curve(start - 1)) * law.factor(own)

    def after(count: int, found: float) -> float:
        law, start, own = place(count)
        if own > 0:
            return law.step(own, found)
        return law.enter(found) if law.enter and start > 0 else law.lr(0)

    return Law(curve, _momentum_in_turn(laws, milestones), after=after)


@of_torch(
    "ChainedScheduler",
    "several schedulers at once, each changing the LR that the one before it left",
    family="custom",
    formula="each scheduler's change of the LR in turn, at every count",
    jumps=True,
    own_scale=True,
    fixed=nested_fixed,
    notices=[nested_notices],
    example="ChainedScheduler([ConstantLR(total_iters=4), ExponentialLR(gamma=0.9)])",
)
def chained_scheduler(clock: Clock, lr: float, *, schedulers: tuple[Schedule, ...]) -> Law:
    """All schedulers are stepped one after the other; factors multiply.

    Those that only multiply have a closed form together. One that writes an LR of its own
    (`LambdaLR`, `CosineAnnealingWarmRestarts`, `CyclicLR`, `OneCycleLR`) undoes at every count
    what the ones before it did, as in torch. Past the end of its phase it stays, where there is
    no closed form. Source: torch 2.15.

    >>> from lrbench.schedules import parse
    >>> spec = "ChainedScheduler([ConstantLR(0.5, total_iters=2), ExponentialLR(gamma=0.5)])"
    >>> parse(spec).table(lr=1.0, steps=4, steps_per_epoch=1)
    [0.5, 0.25, 0.25, 0.125]

    Raises:
        UsageError: something else than torch's schedulers is nested.
    """
    if not schedulers:
        raise UsageError("ChainedScheduler needs at least one scheduler")
    laws, _ = _constructed("ChainedScheduler", schedulers, [clock] * len(schedulers), lr)
    momentum = next((law.momentum for law in reversed(laws) if law.momentum), None)
    factors = [law.factor for law in laws if law.factor]

    def after(count: int, found: float) -> float:
        for law in laws:
            found = law.step(count, found)
        return found

    if len(factors) == len(laws):
        together = multiplies(lr, lambda count: math.prod(factor(count) for factor in factors))
        return replace(together, momentum=momentum)
    if any(law.after is None for law in laws):
        return Law(lambda count: after(count, lr), momentum)
    return Law(_walked(after, lr, clock.steps), momentum, after=after)


def _walked(after: Callable[[int, float], float], lr: float, steps: int) -> Curve:
    """A recurrence from the base LR, worked out once, to the end of the phase."""
    table = [after(0, lr)]
    for count in range(1, steps + 1):
        table.append(after(count, table[-1]))
    return lambda count: table[min(count, steps)]


def _constructed(
    name: str, schedulers: Iterable[Schedule], clocks: Iterable[Clock], lr: float
) -> tuple[list[Law], float]:
    """The laws of the nested schedulers, and the `initial_lr` that their constructors leave."""
    laws: list[Law] = []
    for schedule, clock in zip(schedulers, clocks, strict=False):
        law = _law(name, schedule, clock, lr)
        if law.initial is not None and not (law.initial_if_first and laws):
            lr = law.initial
        laws.append(law)
    return laws, lr


def _law(name: str, schedule: Schedule, clock: Clock, lr: float) -> Law:
    law = None
    if isinstance(schedule, Call) and schedule.definition.counts:
        if schedule.update or schedule.duration:
            raise UsageError(
                f"{name} steps what it holds: {schedule} takes no update= or duration= in it"
            )
        arguments = schedule.arguments
        by_name = {param.python: arguments[param.name] for param in schedule.definition.params}
        law = schedule.definition.make(clock, lr, **by_name)
    if not isinstance(law, Law):
        raise UsageError(
            f"{name} takes torch's schedulers, without ReduceLROnPlateau, and not {schedule}",
            hint="put other schedules in a row with +",
        )
    return law


def _refuse_nest(schedule: Schedule) -> None:
    """torch 2.15 raises NotImplementedError when their turn comes, and counts them wrongly
    where they come first."""
    if isinstance(schedule, Call) and schedule.name in ("SequentialLR", "ChainedScheduler"):
        raise UsageError(
            f"torch's SequentialLR cannot hold a {schedule.name}",
            hint="list its schedulers directly, or put phases in a row with +",
        )


def _momentum_in_turn(laws: Sequence[Law], milestones: Sequence[int]) -> Curve | None:
    """The momentum that was written last: by the scheduler whose turn it is or was, and before
    any of them by the constructor of the last."""
    movers = [index for index, law in enumerate(laws) if law.momentum]
    if not movers:
        return None

    def curve(count: int) -> float:
        turn = bisect_right(milestones, count)
        begun = [index for index in movers if index <= turn]
        index = begun[-1] if begun else movers[-1]
        start = milestones[index - 1] if index else 0
        last = count if index == turn else (milestones[index] - 1 if begun else start)
        momentum = laws[index].momentum
        assert momentum is not None  # it is one of the movers
        return momentum(max(0, last - start))

    return curve
