"""torch's own schedulers by name: what a spec may contain, without importing torch.

A spec with these names runs torch's own class (see `torch_run`), stepped once per epoch, as is
usual for these classes, or once per step for `OneCycleLR` and `CyclicLR`; `update=` overrides this.
Here each class is a function of its arguments, of n, the counts of the phase, and b, the base LR;
it returns the values that the run fills in for arguments that are None.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from lrbench.schedules.adaptive import Epochs, Metric, Plateau
from lrbench.schedules.definitions import (
    Bounds,
    Count,
    Expression,
    F,
    Fraction,
    NonNegative,
    Numbers,
    Positive,
    Share,
    keywords,
    register,
)
from lrbench.schedules.spec import Call
from lrbench.schedules.units import half_up

THIRD = 1.0 / 3
Milestones = tuple[Annotated[int, Bounds(0)], ...]
counted: Callable[..., Callable[[F], F]] = partial(
    register, update="epoch", of_torch=True, counts=True
)
composed = partial(counted, family="custom", jumps=True, own_scale=True)


def arguments_of(call: Call, counts: int, lr: float) -> dict[str, Any]:
    """The arguments to write out: those given, and those that the run fills in."""
    known, function = call.arguments, call.definition.function
    filled = function(**keywords(function, {"n": counts, "b": lr, **known}))
    given = {name for name, value in call.args if value is not None}
    known |= {name: value for name, value in filled.items() if known[name] is None}
    return {name: value for name, value in known.items() if name in given or name in filled}


def nested(call: Call, counts: int) -> list[tuple[Call, int]]:
    """The schedulers nested in a call, and the counts from each one's start to the phase's end."""
    schedulers = call.arguments.get("schedulers", ())
    marks = call.arguments.get("milestones") or ()
    starts = [0, *marks, *[0] * len(schedulers)]  # padded; torch itself refuses too few
    return [(one, max(1, counts - start)) for one, start in zip(schedulers, starts, strict=False)]


@counted(family="warmup", jumps=True)
def ConstantLR(*, factor: Share = THIRD, total_iters: Count = 5) -> Numbers:
    """A smaller LR for the first counts, then the base LR.
    Formula: `b factor until total_iters, then b`."""
    return {}


@counted(family="warmup")
def LinearLR(
    *,
    start_factor: Share = THIRD,
    end_factor: Share = 1.0,
    total_iters: Count = 5,
) -> Numbers:
    """Changes linearly between two factors of the base LR.
    Formula: `b (s + (e-s) min(1, n/total_iters))`."""
    return {}


@counted(family="ordered", jumps=True, decays=True)
def StepLR(n: int, *, step_size: Count | None = None, gamma: NonNegative = 0.1) -> Numbers:
    """Drops by a factor at regular intervals. Formula: `b gamma^floor(n/step_size)`."""
    return {"step_size": -(-n // 3)}


@counted(family="ordered", jumps=True, decays=True)
def MultiStepLR(
    n: int, *, milestones: Milestones | None = None, gamma: NonNegative = 0.1
) -> Numbers:
    """Drops by a factor at each milestone. Formula: `b gamma^#{m <= n}`."""
    return {"milestones": (half_up(n / 2), half_up(n * 3 / 4))}


@counted(family="ordered", decays=True)
def ExponentialLR(n: int, *, gamma: NonNegative | None = None) -> Numbers:
    """Decays by the same factor at every count. Formula: `b gamma^n`."""
    return {"gamma": 0.01 ** (1 / n)}


@counted(family="ordered", decays=True, span="total_iters")
def PolynomialLR(*, total_iters: Count = 5, power: Positive = 1.0) -> Numbers:
    """Decays to 0 as a power of the remaining counts.
    Formula: `b (1 - min(1, n/total_iters))^power`."""
    return {}


@counted(family="ordered", decays=True, span="T_max")
def CosineAnnealingLR(
    n: int, *, T_max: Positive | None = None, eta_min: NonNegative = 0.0
) -> Numbers:
    """Decays along a cosine, and rises again past T_max.
    Formula: `eta_min + (b-eta_min)(1+cos(pi n/T_max))/2`."""
    return {"T_max": n}


@counted(
    family="cyclic", jumps=True, cycle=lambda n, known: (known["T_0"] or n, known["T_mult"]),
)  # fmt: skip
def CosineAnnealingWarmRestarts(
    n: int, *, T_0: Count | None = None, T_mult: Count = 1, eta_min: NonNegative = 0.0
) -> Numbers:
    """Cosine decay with warm restarts.
    Formula: `eta_min + (b-eta_min)(1+cos(pi T_cur/T_i))/2`."""
    return {"T_0": -(-n // (1 + T_mult + T_mult**2))}


def _both_ways(n: float, known: Numbers) -> tuple[float, float]:
    return known["step_size_up"] + (known["step_size_down"] or known["step_size_up"]), 1


@counted(family="cyclic", update="step", own_scale=True, cycle=_both_ways)
def CyclicLR(
    b: float,
    *,
    base_lr: NonNegative | None = None,
    max_lr: Positive | None = None,
    step_size_up: Positive = 2000.0,
    step_size_down: Positive | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: NonNegative = 1.0,
    cycle_momentum: bool = True,
    base_momentum: Share = 0.8,
    max_momentum: Share = 0.9,
) -> Numbers:
    """Rises and falls linearly; momentum does the opposite.
    Formula: `base_lr + (max_lr-base_lr) tri(n) scale(mode)`."""
    return {"base_lr": (max_lr or b) / 10, "max_lr": b}


@counted(family="cyclic", update="step", decays=True, span="total_steps")
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
) -> Numbers:
    """Rises once, then decays far below its start; momentum does the opposite.
    Formula: `max_lr/div_factor up to max_lr, then down to max_lr/div_factor/final_div_factor`."""
    return {"max_lr": b} if epochs or steps_per_epoch else {"max_lr": b, "total_steps": n}


@composed(example='LambdaLR(lr_lambda="0.95**epoch")')
def LambdaLR(*, lr_lambda: Expression) -> Numbers:
    """The base LR times an expression of the count, `epoch`. Formula: `b f(n)`."""
    return {}


@composed(example='MultiplicativeLR(lr_lambda="0.95")')
def MultiplicativeLR(*, lr_lambda: Expression) -> Numbers:
    """Multiplies the LR at each count by a function of `epoch`. Formula: `b f(1) f(2) … f(n)`."""
    return {}


@composed(
    example="SequentialLR([LinearLR(total_iters=5), CosineAnnealingLR(T_max=95)], milestones=[5])"
)
def SequentialLR(*, schedulers: tuple[Call, ...], milestones: Milestones) -> Numbers:
    """Runs schedulers in sequence, each from its own start.
    Formula: `scheduler #{m <= n} at n - m`."""
    return {}


@composed(example="ChainedScheduler([ConstantLR(total_iters=4), ExponentialLR(gamma=0.9)])")
def ChainedScheduler(*, schedulers: tuple[Call, ...]) -> Numbers:
    """Applies all schedulers at every count, each to the LR that the previous one set.
    Formula: `each scheduler's change of the LR in turn, at every count`."""
    return {}


def _metric(arguments: Numbers) -> str:
    """The metric that ReduceLROnPlateau watches: `mode="max"` implies an accuracy."""
    default = "val_accuracy" if arguments["mode"] == "max" else "val_loss"
    return str(arguments["metric"] or default)


@register(family="adaptive", of_torch=True, watches=_metric)
def ReduceLROnPlateau(
    b: float,
    *,
    mode: Literal["min", "max"] = "min",
    factor: Fraction = 0.1,
    patience: Epochs = 10,
    threshold: NonNegative = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: Epochs = 0,
    min_lr: NonNegative = 0.0,
    eps: NonNegative = 1e-8,
    metric: Metric | None = None,  # an argument of torch's `step()`
) -> Plateau:
    """Drops by a factor when a metric stops improving.
    Formula: `b factor^cuts; a cut after more than patience bad epochs`."""
    watched: Any = _metric({"mode": mode, "metric": metric})
    return Plateau(
        b, watched, mode=mode, factor=factor, patience=patience, threshold=threshold,
        threshold_mode=threshold_mode, cooldown=cooldown, min_=min_lr, eps=eps,
    )  # fmt: skip
