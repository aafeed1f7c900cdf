"""The range test from end to end: sweeps, a suggestion, its verification, the stable limit."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from lrbench.engine.method import Method, optimizer_steps
from lrbench.experiment import FindSpec
from lrbench.rangetest.grade import Reason
from lrbench.rangetest.groups import GroupLrs, freeze, swept
from lrbench.rangetest.judge import Judge
from lrbench.rangetest.probe import Probe, Prober
from lrbench.rangetest.result import CurvePoint, FindProgress, FindResult, Stage
from lrbench.rangetest.rules import get_rule
from lrbench.rangetest.stability import Stability, largest_stable
from lrbench.rangetest.suggest import Suggestion, suggest
from lrbench.rangetest.sweep import Setup, apart, grid, others_train, step_flops, sweep
from lrbench.rangetest.verify import Verification, verify
from lrbench.records import SweepPoint
from lrbench.tasks.base import Task

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

T = TypeVar("T")
Event = FindProgress | FindResult

SMALL_FLOPS = 2e10  # of one training step of a model that is verified unasked
VERIFY_LRS = 7  # learning rates that a verification usually trains at
STABLE_RATIO = 1.1  # the bracket of the stable limit
UNSTABLE = "unstable: the answer is above the largest stable LR; use that, or pass --verify"


def find_events(spec: FindSpec, task: Task) -> Iterator[Event]:
    """Run the range test of a recipe on its task: progress, and the `FindResult` last.

    Raises:
        UsageError: a rule or a group that cannot be meant.
    """
    from lrbench.optimizers import build

    def make_optimizer(model: nn.Module) -> tuple[Optimizer, GroupLrs]:
        optimizer, groups = build(spec.recipe, model, spec.start_lr)
        freeze(optimizer, groups)
        return optimizer, swept(groups, spec.sweep_group)

    setup = Setup(task, make_optimizer, Method.of(spec.recipe))
    return range_test(spec, setup, settings=spec.model_dump(mode="json"))


def range_test(spec: FindSpec, setup: Setup, settings: Mapping[str, Any]) -> Iterator[Event]:
    """Run a range test: progress, and the `FindResult` last."""
    get_rule(spec.rule)
    lrs = grid(spec.start_lr, spec.end_lr, spec.points, spec.mode)
    judge = Judge.of(setup.task, setup.method.precision)
    alone = others_train(setup, spec.seeds[0])
    quick = judge.quick() if spec.val_loss else None
    curves = yield from _sweeps(spec, setup, lrs, quick, alone=alone)
    losses = [[point.loss for point in curve] for curve in curves]
    suggestion = suggest(lrs, losses, rule=spec.rule, window=spec.window)
    verification: Verification | None = None
    stability: Stability | None = None
    if suggestion.lr is not None:
        cheap = _cheap(spec, setup)
        prober = Prober.of(setup, spec.verify_steps, judge)
        if cheap if spec.verify is None else spec.verify:
            verification = yield from _verified(spec, prober, suggestion.lr)
        if cheap if spec.max_stable is None else spec.max_stable:
            stability = yield from _stable(spec, prober, suggestion.lr, verification)
    told = {**settings, "others_train": True} if alone else settings
    yield _result(suggestion, curves, verification, stability, told)


def _sweeps(
    spec: FindSpec, setup: Setup, lrs: Sequence[float], judge: Judge | None, *, alone: bool
) -> Generator[FindProgress, None, list[list[SweepPoint]]]:
    """A curve for each seed. Where some groups are swept alone while others train, it is rid of
    what those learn by a second training, in which the swept ones stand still."""
    steps = optimizer_steps(setup.task, spec.recipe) if spec.step == "epoch" else 1
    ramps = (lrs, [0.0] * len(lrs)) if alone else (lrs,)
    runs = [(seed, ramp) for seed in spec.seeds for ramp in ramps]
    found: list[list[SweepPoint]] = []
    for place, (seed, ramp) in enumerate(runs):
        curve: list[SweepPoint] = []
        for point in sweep(setup, seed, ramp, steps_per_point=steps, judge=judge):
            curve.append(point)
            done = place * len(lrs) + point.step + 1
            total = len(lrs) * len(runs)
            yield FindProgress("sweep", seed, done, total, point.lr, _finite(point.loss))
        found.append(curve)
    return list(map(apart, found[::2], found[1::2])) if alone else found


def _cheap(spec: FindSpec, setup: Setup) -> bool:
    """Whether the trainings after the sweep are small work: counted, never timed."""
    if spec.verify is not None and spec.max_stable is not None:
        return True
    return step_flops(setup, spec.seeds[0]) <= SMALL_FLOPS


def _verified(
    spec: FindSpec, prober: Prober, lr: float
) -> Generator[FindProgress, None, Verification]:
    seeds = spec.seeds[: spec.verify_seeds]
    return (yield from _reported("verify", verify(prober, lr, seeds), VERIFY_LRS * len(seeds)))


def _stable(
    spec: FindSpec, prober: Prober, lr: float, verification: Verification | None
) -> Generator[FindProgress, None, Stability]:
    known = verification.probes if verification else ()
    return (yield from _reported("stability", _limit(spec, prober, lr, known), 5))


def _limit(
    spec: FindSpec, prober: Prober, lr: float, known: Sequence[Probe]
) -> Generator[Probe, None, Stability]:
    """The stable limit, from the answer upwards; where that does not converge, as a sweep runs
    ahead of the blow-up it has caused, from below it."""
    while True:
        found = yield from largest_stable(
            prober,
            spec.seeds[0],
            start_lr=lr,
            end_lr=max(spec.end_lr, lr * 1e4),
            known=known,
            ratio=STABLE_RATIO,
        )
        if found.lr is not None or found.above is None or lr <= spec.start_lr:
            return found
        known, lr = (), max(lr / 10, spec.start_lr)


def _reported(
    stage: Stage, probes: Generator[Probe, None, T], total: int
) -> Generator[FindProgress, None, T]:
    """Turn probes into progress; the total grows when there are more than were expected."""
    done = 0
    while True:
        try:
            probe = next(probes)
        except StopIteration as end:
            found: T = end.value
            return found
        done += 1
        yield FindProgress(stage, probe.seed, done, max(total, done), probe.lr, probe.loss)


def _result(
    suggestion: Suggestion,
    curves: Sequence[Sequence[SweepPoint]],
    verification: Verification | None,
    stability: Stability | None,
    settings: Mapping[str, Any],
) -> FindResult:
    found = FindResult(
        lr=suggestion.lr,
        lr_sweep=suggestion.lr,
        grade=suggestion.grade,
        reasons=suggestion.reasons,
        band=suggestion.band,
        lr_range=suggestion.lr_range,
        max_stable_lr=None,
        rules=suggestion.rules,
        verification=None,
        stability=None,
        table=(),
        settings=settings,
        curve=_curve(curves, suggestion),
        trainings=_trainings(verification, stability),
        changes=_changes(suggestion, settings),
    )
    if verification is not None:
        found = replace(found, lr=verification.lr, verification=verification.to_dict())
    if stability is not None:
        found = replace(found, max_stable_lr=stability.lr, stability=stability.to_dict())
        above = found.lr is not None and stability.lr is not None and found.lr > stability.lr
        if verification is None and above:
            reasons = (*found.reasons, UNSTABLE)
            found = replace(found, grade="weak", reasons=reasons, changes={"verify": True})
    return found


def _changes(suggestion: Suggestion, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The setting to change where there is no answer, with its new value."""
    reason = suggestion.reasons[0] if suggestion.lr is None and suggestion.reasons else ""
    if not isinstance(reason, Reason) or reason.option not in settings:
        return {}
    value = settings[reason.option] * reason.factor
    return {
        reason.option: max(100, int(value)) if reason.option == "points" else float(f"{value:g}")
    }


def _curve(
    curves: Sequence[Sequence[SweepPoint]], suggestion: Suggestion
) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(p.seed, p.step, p.lr, _finite(p.loss), _finite(float(value)))
        for curve, smoothed in zip(curves, suggestion.smoothed, strict=True)
        for p, value in zip(curve, smoothed, strict=True)
    )


def _trainings(
    verification: Verification | None, stability: Stability | None
) -> tuple[Mapping[str, Any], ...]:
    """One row for each training at a constant learning rate."""
    probes = [*(verification.probes if verification else ())]
    probes += [p for p in (stability.probes if stability else ()) if p not in probes]
    return tuple(vars(probe) for probe in sorted(probes, key=lambda p: (p.lr, p.seed)))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
