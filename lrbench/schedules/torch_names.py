"""torch's own schedulers by their names: what a spec may write there, without importing torch.

A spec of these names runs torch's own class (see `torch_run`), stepped once an epoch as users of
these classes do, `OneCycleLR` and `CyclicLR` once a step; `update=` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from lrbench.schedules.adaptive import Epochs, Metric, Plateau
from lrbench.schedules.definitions import (
    MISSING,
    SCHEDULES,
    Bounds,
    Count,
    Definition,
    Expression,
    Family,
    Fraction,
    NonNegative,
    Numbers,
    Param,
    Positive,
    Share,
)
from lrbench.schedules.spec import Call
from lrbench.schedules.units import half_up

THIRD = 1.0 / 3
Milestones = tuple[Annotated[int, Bounds(0)], ...]
Filled = Callable[..., Any]


class StartFactor(Bounds):
    """torch's limits for the `start_factor` of LinearLR."""

    def __contains__(self, value: float) -> bool:
        return 0 < value <= 1

    def __str__(self) -> str:
        return "above 0 and at most 1 (torch's limits; warmup(5%, from=0) starts at 0)"


def arguments_of(call: Call, counts: int, lr: float) -> dict[str, Any]:
    """The arguments that must be written: those given, and those that the run fills in."""
    known = call.arguments
    filled = call.definition.function(counts, lr, known)
    given = {name for name, value in call.args if value is not None}
    known |= {name: value for name, value in filled.items() if known[name] is None}
    return {name: value for name, value in known.items() if name in given or name in filled}


def nested(call: Call, counts: int) -> list[tuple[Call, int]]:
    """The schedulers nested in a call, and how long each may last: to the end of the phase."""
    schedulers = call.arguments.get("schedulers", ())
    marks = call.arguments.get("milestones") or ()
    starts = [0, *marks, *[0] * len(schedulers)]  # torch refuses where there are too few
    return [(one, max(1, counts - start)) for one, start in zip(schedulers, starts, strict=False)]


def of_torch(
    name: str,
    family: Family,
    doc: str,
    params: dict[str, Any],
    filled: Filled = lambda n, b, known: {},
    example: str = "",
    **fields: Any,
) -> None:
    """Register a class of torch.

    Args:
        params: the type of each parameter, or its type and its default.
        filled: (counts of the phase, base LR, arguments) -> what the run fills in for arguments
            that are None: those that torch requires fit the run.
    """
    found = []
    for key, one in params.items():
        annotation, default = one if isinstance(one, tuple) else (one, MISSING)
        found.append(Param(key, annotation, default, positional=False))
    usual: dict[str, Any] = {"update": "epoch", "of_torch": True, "counts": True, **fields}
    definition = Definition(name, filled, tuple(found), **usual)
    summary, _, formula = doc.partition(": ")
    facts = {"example": example} if example else {}
    SCHEDULES.register(name, summary, family=family, formula=formula, torch=name, **facts)(
        definition
    )


of_torch(
    "ConstantLR", "warmup",
    "a smaller LR for the first counts, then the base LR: b factor until total_iters, then b",
    {"factor": (Share, THIRD), "total_iters": (Count, 5)},
    jumps=True,
)  # fmt: skip
of_torch(
    "LinearLR", "warmup",
    "from one factor of the base LR to another along a straight line: "
    "b (s + (e-s) min(1, n/total_iters))",
    {
        "start_factor": (Annotated[float, StartFactor(0, 1)], THIRD),
        "end_factor": (Share, 1.0),
        "total_iters": (Count, 5),
    },
)  # fmt: skip
of_torch(
    "StepLR", "ordered",
    "falls by a factor after every stretch of equal length: b gamma^floor(n/step_size)",
    {"step_size": (Count | None, None), "gamma": (NonNegative, 0.1)},
    lambda n, b, known: {"step_size": -(-n // 3)},
    jumps=True, decays=True, remedy="set step_size={third}, or use step for three equal stairs",
)  # fmt: skip
of_torch(
    "MultiStepLR", "ordered", "falls by a factor at each milestone: b gamma^#{m <= n}",
    {"milestones": (Milestones | None, None), "gamma": (NonNegative, 0.1)},
    lambda n, b, known: {"milestones": (half_up(n / 2), half_up(n * 3 / 4))},
    jumps=True, decays=True,
)  # fmt: skip
of_torch(
    "ExponentialLR", "ordered", "falls by the same factor at every count: b gamma^n",
    {"gamma": (NonNegative | None, None)},
    lambda n, b, known: {"gamma": 0.01 ** (1 / n)},
    decays=True,
)  # fmt: skip
of_torch(
    "PolynomialLR", "ordered",
    "falls to 0 along a power of the counts left: b (1 - min(1, n/total_iters))^power",
    {"total_iters": (Count, 5), "power": (Positive, 1.0)},
    decays=True, remedy="set total_iters={n} or use polynomial", span="total_iters",
)  # fmt: skip
of_torch(
    "CosineAnnealingLR", "ordered",
    "falls along a cosine, and climbs back past T_max: "
    "eta_min + (b-eta_min)(1+cos(pi n/T_max))/2",
    {"T_max": (Positive | None, None), "eta_min": (NonNegative, 0.0)},
    lambda n, b, known: {"T_max": n},
    decays=True, remedy="set T_max={n} or use cosine", span="T_max",
)  # fmt: skip
of_torch(
    "CosineAnnealingWarmRestarts", "cyclic",
    "falls along half a cosine, again and again: eta_min + (b-eta_min)(1+cos(pi T_cur/T_i))/2",
    {"T_0": (Count | None, None), "T_mult": (Count, 1), "eta_min": (NonNegative, 0.0)},
    lambda n, b, known: {"T_0": -(-n // (1 + known["T_mult"] + known["T_mult"] ** 2))},
    jumps=True, cycle=lambda n, known: (known["T_0"] or n, known["T_mult"]),
)  # fmt: skip
of_torch(
    "CyclicLR", "cyclic",
    "rises and falls along straight lines; momentum goes the other way: "
    "base_lr + (max_lr-base_lr) tri(n) scale(mode)",
    {
        "base_lr": (NonNegative | None, None),
        "max_lr": (Positive | None, None),
        "step_size_up": (Positive, 2000),
        "step_size_down": (Positive | None, None),
        "mode": (Literal["triangular", "triangular2", "exp_range"], "triangular"),
        "gamma": (NonNegative, 1.0),
        "cycle_momentum": (bool, True),
        "base_momentum": (Share, 0.8),
        "max_momentum": (Share, 0.9),
    },
    lambda n, b, known: {"base_lr": (known["max_lr"] or b) / 10, "max_lr": b},
    update="step", own_scale=True,
    cycle=lambda n, known: (
        known["step_size_up"] + (known["step_size_down"] or known["step_size_up"]), 1
    ),
)  # fmt: skip
of_torch(
    "OneCycleLR", "cyclic",
    "rises once, then falls far below its start; momentum goes the other way: "
    "max_lr/div_factor up to max_lr, then down to max_lr/div_factor/final_div_factor",
    {
        "max_lr": (Positive | None, None),
        "total_steps": (Count | None, None),
        "epochs": (Count | None, None),
        "steps_per_epoch": (Count | None, None),
        "pct_start": (Share, 0.3),
        "anneal_strategy": (Literal["cos", "linear"], "cos"),
        "cycle_momentum": (bool, True),
        "base_momentum": (Share, 0.85),
        "max_momentum": (Share, 0.95),
        "div_factor": (Positive, 25.0),
        "final_div_factor": (Positive, 1e4),
        "three_phase": (bool, False),
    },
    lambda n, b, known: (
        {"max_lr": b} | ({} if known["epochs"] or known["steps_per_epoch"] else {"total_steps": n})
    ),
    update="step", decays=True, remedy="set total_steps={n}, or leave it out",
    span="total_steps",
)  # fmt: skip
of_torch(
    "LambdaLR", "custom", "the base LR times an expression of the count, `epoch`: b f(n)",
    {"lr_lambda": Expression},
    jumps=True, own_scale=True, example='LambdaLR(lr_lambda="0.95**epoch")',
)  # fmt: skip
of_torch(
    "MultiplicativeLR", "custom",
    "multiplied at each count by an expression of it, `epoch`: b f(1) f(2) … f(n)",
    {"lr_lambda": Expression},
    jumps=True, own_scale=True, example='MultiplicativeLR(lr_lambda="0.95")',
)  # fmt: skip
of_torch(
    "SequentialLR", "custom",
    "one scheduler after the other, each from its own start: scheduler #{m <= n} at n - m",
    {"schedulers": tuple[Call, ...], "milestones": Milestones},
    example="SequentialLR([LinearLR(total_iters=5), CosineAnnealingLR(T_max=95)], milestones=[5])",
    jumps=True, own_scale=True,
)  # fmt: skip
of_torch(
    "ChainedScheduler", "custom",
    "several schedulers at once, each changing the LR that the one before it left: "
    "each scheduler's change of the LR in turn, at every count",
    {"schedulers": tuple[Call, ...]},
    example="ChainedScheduler([ConstantLR(total_iters=4), ExponentialLR(gamma=0.9)])",
    jumps=True, own_scale=True,
)  # fmt: skip


def _metric(arguments: Numbers) -> str:
    """What a ReduceLROnPlateau watches: `mode="max"` is meant for an accuracy."""
    default = "val_accuracy" if arguments["mode"] == "max" else "val_loss"
    return str(arguments["metric"] or default)


def _plateau(b: float, metric: str | None, mode: str, threshold_mode: str, **known: Any) -> Plateau:
    watched = _metric({"mode": mode, "metric": metric})
    return Plateau(b, watched, mode == "max", relative=threshold_mode == "rel", **known)


of_torch(
    "ReduceLROnPlateau", "adaptive",
    "falls by a factor when a metric stops improving: "
    "b factor^cuts; a cut after more than patience bad epochs",
    {
        "mode": (Literal["min", "max"], "min"),
        "factor": (Fraction, 0.1),
        "patience": (Epochs, 10),
        "threshold": (NonNegative, 1e-4),
        "threshold_mode": (Literal["rel", "abs"], "rel"),
        "cooldown": (Epochs, 0),
        "min_lr": (NonNegative, 0.0),
        "eps": (NonNegative, 1e-8),
        "metric": (Metric | None, None),  # torch's argument of `step`
    },
    _plateau,
    update="step", counts=False, watches=_metric,
)  # fmt: skip
