"""The range test: sweeps, a suggestion, its verification, the largest stable LR."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lrbench.options import FindSpec
from lrbench.rangetest.aim import Aim
from lrbench.rangetest.curve import FEWEST, in_order
from lrbench.rangetest.grade import FLAT, NOISE, UNREACHED, Reason
from lrbench.rangetest.groups import GroupLrs, freeze, swept
from lrbench.rangetest.judge import shuffles
from lrbench.rangetest.probe import Probe, Prober, carried_out, settling_steps
from lrbench.rangetest.result import CurvePoint, FindProgress, FindResult, Stage
from lrbench.rangetest.rules import RULES
from lrbench.rangetest.stability import Stability, largest_stable
from lrbench.rangetest.suggest import Suggestion, suggest
from lrbench.rangetest.sweep import (
    Elsewhere,
    Piece,
    Setup,
    apart,
    grid,
    losses_of,
    others_train,
    reached,
    step_flops,
)
from lrbench.rangetest.verify import Verification, verify
from lrbench.records import SweepPoint
from lrbench.tasks.base import Task, optimizer_steps

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

T = TypeVar("T")
Event = FindProgress | FindResult

SMALL_FLOPS = 2e10  # of one training step of a model that is verified unasked
VERIFY_LRS = 7  # learning rates that a verification usually trains at
STABLE_LRS = 9  # and a search of the stable limit, up from the answer
STABLE_RATIO = 1.1  # the bracket of the stable limit
HIGHEST = "edge: the highest LR that was tried is the best; raise --end-lr"
LOWEST = "edge: the lowest LR that was tried is the best"
UNSTABLE = "unstable: its highest LR is above the largest stable one; a longer run may diverge"
UNVERIFIED = "unstable: its highest LR is above the largest stable one; use that, or pass --verify"
UNTRAINED = "untrained: no short training ends below its start; look at --loss and what it trains"
UNCLEAR = (
    "unclear: short trainings end below their start by no more than the seeds differ; give more "
    "validation data"
)
ORDERED = (
    "ordered: the loss moves with the order of the batches, which was subtracted; shuffle them"
)
ONE_CURVE = "one curve: every seed trains on the same batches; shuffle them, or pass make_model"
DECIDED = (
    "noisy: the sweep is lost in noise, short trainings decided; raise --seeds or --batch-size"
)


def find_events(spec: FindSpec, task: Task, elsewhere: Elsewhere | None = None) -> Iterator[Event]:
    """Run the range test of a recipe on its task: progress, and the `FindResult` last."""
    settings = spec.model_dump(mode="json")
    return range_test(spec, setup_of(spec, task, elsewhere), settings)


def setup_of(spec: FindSpec, task: Task, elsewhere: Elsewhere | None = None) -> Setup:
    """What the range test of a recipe trains."""
    from lrbench.optimizers import build

    def make_optimizer(model: nn.Module) -> tuple[Optimizer, GroupLrs]:
        optimizer, groups = build(spec.recipe, model, spec.start_lr)
        freeze(optimizer, groups)
        return optimizer, swept(groups, spec.sweep_group)

    return Setup(task, make_optimizer, spec.recipe, spec, elsewhere)


def range_test(spec: FindSpec, setup: Setup, settings: Mapping[str, Any]) -> Iterator[Event]:
    """Run a range test: progress, and the `FindResult` last."""
    RULES.get(spec.rule, option="--rule")
    lrs = grid(spec.start_lr, spec.end_lr, spec.points, spec.mode)
    aim = Aim.of(spec, setup.task)
    judge = setup.judge
    alone = others_train(setup, spec.seeds[0])
    curves, ordered = yield from _sweeps(spec, setup, lrs, alone=alone)
    suggestion = suggest(lrs, [losses_of(c) for c in curves], rule=spec.rule, window=spec.window)
    if suggestion.reasons == (FLAT,) and not reached(setup, spec.seeds[0]):
        suggestion = replace(suggestion, reasons=(UNREACHED,))
    verification: Verification | None = None
    stability: Stability | None = None
    lost = suggestion.reasons == (NOISE,)
    lr = suggestion.lr
    if lr is not None or lost:
        # counted, never timed
        given = spec.verify is not None and spec.max_stable is not None
        cheap = given or step_flops(setup, spec.seeds[0]) <= SMALL_FLOPS
        prober = Prober(setup, spec.verify_steps, judge)
        if cheap if spec.verify is None else spec.verify:
            seeds = [curve[0].seed for curve in curves[: spec.verify_seeds]]
            # where the sweep is lost in noise: a decade below its end
            start = lr or min(curve[-1].lr for curve in curves) / 10
            if aim is None:
                search = verify(prober, start, seeds, spec.end_lr)
            else:
                along = Prober(setup, 0, judge, aim.paces)
                guess = aim.guess(start, spec.verify_steps)
                search = verify(along, guess, seeds, spec.end_lr / aim.peak)
            verification = yield from _reported("verify", search, VERIFY_LRS * len(seeds))
            lr = verification.lr if verification.learns else None
        limited = cheap and not alone if spec.max_stable is None else spec.max_stable
        if lr is not None and limited:
            known = verification.probes if verification and aim is None else ()
            search_limit = _limit(spec, setup, prober, suggestion.lr or lr, known)
            stability = yield from _reported("stability", search_limit, 5)
    settings = {**settings, "others_train": True} if alone else settings
    found = _result(suggestion, curves, verification, stability, settings)
    found = found if aim is None else aim.adjusted(found, spec.verify_steps)
    unstable = _unstable(found, aim)
    if unstable and verification is None:
        found = replace(found, changes={"verify": True})
    tried = [lr for lr, _ in verification.losses] if verification else []
    yield found.doubted(
        {
            HIGHEST: verification is not None and verification.lr == tried[-1],
            LOWEST: verification is not None and verification.lr == tried[0],
            UNSTABLE: unstable and verification is not None,
            UNVERIFIED: unstable and verification is None,
            ORDERED: ordered,
            ONE_CURVE: len(curves) < len(spec.seeds),
        }
    )


def _sweeps(
    spec: FindSpec, setup: Setup, lrs: Sequence[float], *, alone: bool
) -> Generator[FindProgress, None, tuple[list[list[SweepPoint]], bool]]:
    """A curve for each seed, or only the first where the second is the same; and whether the order
    of the batches was subtracted.

    What moves the loss besides the learning rate shows in a second sweep with the swept groups at
    0, and is subtracted: what others learn that are not swept, and an order that may be fixed.
    """
    shuffled = shuffles(setup.task)
    control = alone or not (spec.val_loss or shuffled)
    total = len(lrs) * len(spec.seeds) * (1 + control)
    found: list[list[SweepPoint]] = []
    first: list[float] = []
    seen: dict[Piece, list[SweepPoint]] = {}
    at_once = shuffled and setup.elsewhere is not None
    for seeds in (spec.seeds,) if at_once else (spec.seeds[:1], spec.seeds[1:]):
        pairs = [_pieces(spec, setup, lrs, seed, control=control) for seed in seeds]
        pieces = [piece for pair in pairs for piece in pair]
        for piece, losses in carried_out(setup, pieces):
            points = seen.setdefault(piece, [])
            if not losses:
                points.clear()
            for loss in losses:
                points.append(SweepPoint(piece.seed, len(points), piece.lrs[len(points)], loss))
                done = sum(map(len, seen.values()))
                yield FindProgress("sweep", piece.seed, done, total, points[-1].lr, _finite(loss))
            known = found and piece is pieces[0] and len(points) == FEWEST
            if known and losses_of(points) == first:  # the same bits so far
                return found, control and not alone
        for curve, *still in ([seen[piece] for piece in pair] for pair in pairs):
            if len(first) == FEWEST and losses_of(curve[:FEWEST]) == first:
                return found, control and not alone
            if control and not alone and not found:
                control = in_order(np.array(losses_of(still[0])))
            found.append(apart(curve, still[0]) if control else curve)
            first = first or losses_of(curve[:FEWEST])
    return found, control and not alone


def _pieces(
    spec: FindSpec, setup: Setup, lrs: Sequence[float], seed: int, *, control: bool
) -> list[Piece]:
    """The sweep of a seed, and with `control` one at learning rate 0."""
    steps = optimizer_steps(setup.task, spec.recipe) if spec.step == "epoch" else 1
    stops = not spec.whole_range and not control
    return [
        Piece(
            find=setup.find, kind="sweep", seed=seed, lrs=ramp, steps=steps, judged=spec.val_loss,
            stops=stops,
        )
        for ramp in (tuple(lrs), (0.0,) * len(lrs))[: 1 + control]
    ]  # fmt: skip


def _limit(
    spec: FindSpec, setup: Setup, prober: Prober, lr: float, known: Sequence[Probe]
) -> Generator[Probe, None, Stability]:
    """The stable limit, from the answer upwards. If the answer itself does not converge, as a
    sweep runs ahead of the blow-up it has caused, from further below."""
    steps = settling_steps(setup, spec.seeds[0], spec.verify_steps)
    if steps != prober.steps:
        prober, known = Prober(setup, steps, prober.judge), ()
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
    """Turn probes into progress; the total grows if there are more than expected."""
    found: list[T] = []

    def each() -> Iterator[Probe]:
        found.append((yield from probes))

    for done, probe in enumerate(each(), 1):
        yield FindProgress(stage, probe.seed, done, max(total, done), probe.lr, probe.loss)
    return found[0]


def _result(
    suggestion: Suggestion,
    curves: Sequence[Sequence[SweepPoint]],
    verification: Verification | None,
    stability: Stability | None,
    settings: Mapping[str, Any],
) -> FindResult:
    points = (
        CurvePoint(p.seed, p.step, p.lr, _finite(p.loss), _finite(float(value)))
        for curve, smoothed in zip(curves, suggestion.smoothed, strict=True)
        for p, value in zip(curve, smoothed, strict=True)
    )
    probes = [*(verification.probes if verification else ())]
    probes += [p for p in (stability.probes if stability else ()) if p not in probes]
    swept = {k: v for k, v in vars(suggestion).items() if k != "smoothed"}
    found = FindResult(
        **swept,
        lr_sweep=suggestion.lr,
        max_stable_lr=stability.lr if stability else None,
        verification=verification.to_dict() if verification else None,
        stability=stability.to_dict() if stability else None,
        table=(),
        settings=settings,
        changes=_changes(suggestion, settings),
        curve=tuple(points),
        trainings=tuple(vars(p) for p in sorted(probes, key=lambda p: (p.lr, p.seed))),
    )
    if verification is not None and verification.learns:
        found = replace(found, lr=verification.lr)
        if suggestion.lr is None:
            found = replace(found, grade="weak", reasons=(DECIDED,))
    elif verification is not None:
        finite = (loss for _, loss in verification.losses if loss is not None)
        lowest = min(finite, default=math.inf)
        why = UNCLEAR if lowest < verification.start else UNTRAINED
        reasons = (why, *(reason for reason in found.reasons if reason != NOISE))
        found = replace(found, lr=None, grade="none", band=None, lr_range=None, reasons=reasons)
    return found


def _unstable(found: FindResult, aim: Aim | None) -> bool:
    """Whether the highest LR is above the largest at which a constant one is stable."""
    if found.lr is None or found.max_stable_lr is None:
        return False
    return found.lr * (aim.peak if aim else 1.0) > found.max_stable_lr


def _changes(suggestion: Suggestion, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The setting to change where there is no answer, with its new value."""
    reason = suggestion.reasons[0] if suggestion.lr is None and suggestion.reasons else ""
    if not isinstance(reason, Reason) or reason.option not in settings:
        return {}
    value = settings[reason.option] * reason.factor
    return {
        reason.option: max(100, int(value)) if reason.option == "points" else float(f"{value:g}")
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
