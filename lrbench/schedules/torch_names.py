"""torch's own schedulers by their names: what a spec may write there, without importing torch.

A spec of these names runs torch's own class (see `torch_run`), stepped once an epoch as users of
these classes do, `OneCycleLR` and `CyclicLR` once a step; `update=` says otherwise. Each function
here declares the parameters of its class and returns those that the run fills in, from the number
of `step()` calls and the base LR: arguments that torch requires have defaults that fit the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from lrbench.schedules import torch_notices as notes
from lrbench.schedules.adaptive import Epochs, Factor, Metric, Plateau, cannot_fire
from lrbench.schedules.definitions import (
    Bounds,
    Expression,
    F,
    NonNegative,
    Numbers,
    Positive,
    Share,
    register,
)
from lrbench.schedules.spec import Call
from lrbench.schedules.units import half_up

THIRD = 1.0 / 3
Count = Annotated[int, Bounds(1)]
Milestones = tuple[Annotated[int, Bounds(0)], ...]
Filled = dict[str, Any]


class StartFactor(Bounds):
    """torch's limits for the `start_factor` of LinearLR."""

    def __contains__(self, value: float) -> bool:
        return 0 < value <= 1

    def __str__(self) -> str:
        return "above 0 and at most 1 (torch's limits; warmup(5%, from=0) starts at 0)"


def of_torch(**facts: Any) -> Callable[[F], F]:
    """`register` for a class of torch."""

    def add(function: F) -> F:
        usual = {"torch": function.__name__, "update": "epoch", "of_torch": True}
        return register(**{**usual, **facts})(function)

    return add


def arguments_of(call: Call, counts: int, lr: float) -> Filled:
    """The arguments that must be written: those given, and those that the run fills in."""
    given = {name: value for name, value in call.args if value is not None}
    known = call.arguments
    filled = call.definition.function(counts, lr, **known)
    missing = {name: value for name, value in filled.items() if known[name] is None}
    return {name: value for name, value in {**known, **given, **missing}.items()
            if name in given or name in missing}  # fmt: skip


def nested_counts(call: Call, counts: int) -> list[int]:
    """How long each scheduler nested in a call may last: to the end of the phase."""
    schedulers = call.arguments["schedulers"]
    starts = (0, *call.arguments.get("milestones", [0] * len(schedulers)))
    return [max(1, counts - start) for start, _ in zip(starts, schedulers, strict=False)]


@of_torch(family="warmup", jumps=True)
def ConstantLR(n: int, b: float, *, factor: Share = THIRD, total_iters: Count = 5) -> Filled:
    """A smaller LR for the first counts, then the base LR.

    Formula: `b factor until total_iters, then b`.
    """
    return {}


@of_torch(family="warmup")
def LinearLR(
    n: int,
    b: float,
    *,
    start_factor: Annotated[float, StartFactor(0, 1)] = THIRD,
    end_factor: Share = 1.0,
    total_iters: Count = 5,
) -> Filled:
    """From one factor of the base LR to another along a straight line.

    Formula: `b (s + (e-s) min(1, n/total_iters))`.
    """
    return {}


@of_torch(family="ordered", jumps=True, decays=True, notices=[notes.one_stair])
def StepLR(n: int, b: float, *, step_size: Count | None = None, gamma: NonNegative = 0.1) -> Filled:
    """Falls by a factor after every stretch of equal length.

    Formula: `b gamma^floor(n/step_size)`.
    """
    return {"step_size": -(-n // 3)}


@of_torch(family="ordered", jumps=True, decays=True, notices=[notes.late_milestones])
def MultiStepLR(
    n: int, b: float, *, milestones: Milestones | None = None, gamma: NonNegative = 0.1
) -> Filled:
    """Falls by a factor at each milestone.

    Formula: `b gamma^#{m <= n}`.
    """
    return {"milestones": (half_up(n / 2), half_up(n * 3 / 4))}


@of_torch(family="ordered", decays=True)
def ExponentialLR(n: int, b: float, *, gamma: NonNegative | None = None) -> Filled:
    """Falls by the same factor at every count.

    Formula: `b gamma^n`.
    """
    return {"gamma": 0.01 ** (1 / n)}


@of_torch(family="ordered", decays=True)
def PolynomialLR(n: int, b: float, *, total_iters: Count = 5, power: Positive = 1.0) -> Filled:
    """Falls to 0 along a power of the counts left.

    Formula: `b (1 - min(1, n/total_iters))^power`.
    """
    return {}


@of_torch(family="ordered", decays=True, notices=[notes.other_period])
def CosineAnnealingLR(
    n: int, b: float, *, T_max: Positive | None = None, eta_min: NonNegative = 0.0
) -> Filled:
    """Falls along a cosine, and climbs back past T_max.

    Formula: `eta_min + (b-eta_min)(1+cos(pi n/T_max))/2`.
    """
    return {"T_max": n}


@of_torch(family="cyclic", jumps=True, notices=[notes.cut_restart])
def CosineAnnealingWarmRestarts(
    n: int, b: float, *, T_0: Count | None = None, T_mult: Count = 1, eta_min: NonNegative = 0.0
) -> Filled:
    """Falls along half a cosine, again and again.

    Formula: `eta_min + (b-eta_min)(1+cos(pi T_cur/T_i))/2`.
    """
    return {"T_0": -(-n // (1 + T_mult + T_mult**2))}


def _max_lr(arguments: Numbers) -> float | None:
    lr: float | None = arguments["max_lr"]
    return lr


@of_torch(family="cyclic", update="step", own_scale=True, fixed=_max_lr, notices=[notes.cut_cycle])
def CyclicLR(
    n: int,
    b: float,
    *,
    base_lr: NonNegative | None = None,
    max_lr: Positive | None = None,
    step_size_up: Positive = 2000,
    step_size_down: Positive | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: NonNegative = 1.0,
    cycle_momentum: bool = True,
    base_momentum: Share = 0.8,
    max_momentum: Share = 0.9,
) -> Filled:
    """Rises and falls along straight lines; momentum goes the other way.

    Formula: `base_lr + (max_lr-base_lr) tri(n) scale(mode)`.
    """
    return {"base_lr": (max_lr or b) / 10, "max_lr": b}


@of_torch(family="cyclic", update="step", decays=True, fixed=_max_lr, notices=[notes.other_total])
def OneCycleLR(
    n: int,
    b: float,
    *,
    max_lr: Positive | None = None,
    total_steps: Count | None = None,
    epochs: Count | None = None,
    steps_per_epoch: Count | None = None,
    pct_start: Share = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    cycle_momentum: bool = True,
    base_momentum: Share = 0.85,
    max_momentum: Share = 0.95,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    three_phase: bool = False,
) -> Filled:
    """Rises once, then falls far below its start; momentum goes the other way.

    Formula: `max_lr/div_factor up to max_lr, then down to max_lr/div_factor/final_div_factor`.
    Past its end, where torch raises a ValueError, it holds its last LR.
    """
    return {"max_lr": b} | ({} if epochs or steps_per_epoch else {"total_steps": n})


@of_torch(family="custom", jumps=True, own_scale=True, example='LambdaLR(lr_lambda="0.95**epoch")')
def LambdaLR(n: int, b: float, *, lr_lambda: Expression) -> Filled:
    """The base LR times an expression of the count, `epoch`.

    Formula: `b f(n)`. `step` is the count as well, `epochs` and `steps` are all counts of the
    phase, `progress` is the one over the other.
    """
    return {}


@of_torch(family="custom", jumps=True, own_scale=True, example='MultiplicativeLR(lr_lambda="0.95")')
def MultiplicativeLR(n: int, b: float, *, lr_lambda: Expression) -> Filled:
    """Multiplied at each count by an expression of it, `epoch`.

    Formula: `b f(1) f(2) … f(n)`.
    """
    return {}


def _nested_lr(arguments: Numbers) -> float | None:
    found = (call.definition.fixed for call in arguments["schedulers"])
    pairs = zip(found, arguments["schedulers"], strict=True)
    named = (fixed(call.arguments) for fixed, call in pairs if fixed)
    return next((lr for lr in named if lr is not None), None)


@of_torch(
    family="custom", jumps=True, own_scale=True, fixed=_nested_lr,
    notices=[notes.late_milestones, notes.nested_notices],
    example="SequentialLR([LinearLR(total_iters=5), CosineAnnealingLR(T_max=95)], milestones=[5])",
)  # fmt: skip
def SequentialLR(
    n: int, b: float, *, schedulers: tuple[Call, ...], milestones: Milestones
) -> Filled:
    """One scheduler after the other, each from its own start.

    Formula: `scheduler #{m <= n} at n - m`.
    """
    return {}


@of_torch(
    family="custom", jumps=True, own_scale=True, fixed=_nested_lr, notices=[notes.nested_notices],
    example="ChainedScheduler([ConstantLR(total_iters=4), ExponentialLR(gamma=0.9)])",
)  # fmt: skip
def ChainedScheduler(n: int, b: float, *, schedulers: tuple[Call, ...]) -> Filled:
    """Several schedulers at once, each changing the LR that the one before it left.

    Formula: `each scheduler's change of the LR in turn, at every count`.
    """
    return {}


def plateau_metric(arguments: Numbers) -> str:
    """What a ReduceLROnPlateau watches: `mode="max"` is meant for an accuracy."""
    default = "val_accuracy" if arguments["mode"] == "max" else "val_loss"
    return str(arguments["metric"] or default)


@of_torch(family="adaptive", update="step", watches=plateau_metric, notices=[cannot_fire])
def ReduceLROnPlateau(
    b: float,
    *,
    mode: Literal["min", "max"] = "min",
    factor: Factor = 0.1,
    patience: Epochs = 10,
    threshold: NonNegative = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: Epochs = 0,
    min_lr: NonNegative = 0.0,
    eps: NonNegative = 1e-8,
    metric: Metric | None = None,
) -> Plateau:
    """Falls by a factor when a metric stops improving.

    Formula: `b factor^cuts; a cut after more than patience bad epochs`. The schedule `plateau` by
    torch's name; `metric`, which torch takes as the argument of `step`, is the validation loss,
    or with `mode="max"` the validation accuracy.

    >>> from lrbench.schedules import parse
    >>> parse("ReduceLROnPlateau(optimizer, mode='max', patience=0)").metric
    'val_accuracy'
    """
    watched = plateau_metric({"mode": mode, "metric": metric})
    return Plateau(
        b, watched, mode == "max", factor, patience, threshold, threshold_mode == "rel", cooldown,
        min_lr, eps,
    )  # fmt: skip
