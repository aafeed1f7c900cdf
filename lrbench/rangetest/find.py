"""The range test: sweeps, a suggestion, its verification, the largest stable LR."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.errors import UsageError
from lrbench.options import FindSpec, Recipe
from lrbench.rangetest import reasons as why
from lrbench.rangetest.aim import Aim
from lrbench.rangetest.curve import FEWEST, in_order
from lrbench.rangetest.groups import GroupLrs, freeze, swept
from lrbench.rangetest.probe import Probe, Prober
from lrbench.rangetest.result import CurvePoint, FindProgress, FindResult, Stage
from lrbench.rangetest.rules import RULES
from lrbench.rangetest.stability import Stability, largest_stable, settling_steps
from lrbench.rangetest.suggest import Suggestion, suggest
from lrbench.rangetest.training import (
    Elsewhere,
    Piece,
    Setup,
    others_train,
    reached,
    shuffles,
    step_flops,
)
from lrbench.rangetest.verify import Verification, verify
from lrbench.tasks.base import Task, optimizer_steps

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Event = FindProgress | FindResult

SMALL_FLOPS = 2e10  # per training step: models up to this are verified by default
VERIFY_LRS = 7  # learning rates in a typical verification
STABLE_LRS = 9  # and in a search for the stable limit, from the answer up
STABLE_RATIO = 1.1  # width of the stable limit's bracket


def find_events(
    spec: FindSpec, task_of: Callable[[Recipe], Task], elsewhere: Elsewhere | None = None
) -> Iterator[Event]:
    """Run the range test of a spec and of each cell of its table. Yields progress events, then the
    result of the spec's own test with the table."""
    recipes = dict.fromkeys((spec.recipe, *spec.cells))
    tasks = {recipe: task_of(recipe) for recipe in recipes}
    if not spec.cells:
        yield from range_test(setup_of(spec, tasks[spec.recipe], elsewhere))
        return
    max_stable = True if spec.max_stable is None else spec.max_stable
    results: dict[Recipe, FindResult] = {}
    for recipe, task in tasks.items():
        part = f"batch {recipe.batch_size}, momentum {recipe.momentum:g}"
        update = {"recipe": recipe, "max_stable": max_stable, "batch_sizes": (), "momenta": ()}
        for event in range_test(setup_of(spec.model_copy(update=update), task, elsewhere)):
            if isinstance(event, FindResult):
                results[recipe] = event
            else:
                yield replace(event, part=part)
    rows = table([(recipe, results[recipe]) for recipe in spec.cells], spec.recipe.batch_size)
    yield replace(results[spec.recipe], table=rows, settings=spec.model_dump(mode="json"))


def table(
    found: Sequence[tuple[Recipe, FindResult]], batch_size: int
) -> tuple[Mapping[str, Any], ...]:
    """One row per range test, with the scaling rules' predictions from a base test with the same
    momentum: the one at `batch_size` or, without an answer there, at the smallest batch with one.

    The square-root rule preserves the noise of an update (Krizhevsky, "One weird trick", 2014), the
    linear rule the progress of an epoch (Goyal et al., "Accurate, large minibatch SGD", 2017).
    """
    rows = []
    for recipe, result in found:
        known = {r.batch_size: f.lr for r, f in found if r.momentum == recipe.momentum and f.lr}
        size = batch_size if batch_size in known else min(known, default=0)
        rows.append({
            "batch_size": recipe.batch_size,
            "momentum": recipe.momentum,
            "grade": result.grade,
            "lr": result.lr,
            "lr_sweep": result.lr_sweep,
            "max_stable_lr": result.max_stable_lr,
            "lr_sqrt_rule": known[size] * math.sqrt(recipe.batch_size / size) if size else None,
            "lr_linear_rule": known[size] * (recipe.batch_size / size) if size else None,
            "reasons": list(result.reasons),
        })  # fmt: skip
    return tuple(rows)


def setup_of(spec: FindSpec, task: Task, elsewhere: Elsewhere | None = None) -> Setup:
    """The `Setup` of a spec's range test."""
    from lrbench.optimizers import build

    def make_optimizer(model: nn.Module) -> tuple[Optimizer, GroupLrs]:
        optimizer, groups = build(spec.recipe, model, spec.start_lr)
        freeze(optimizer, groups)
        return optimizer, swept(groups, spec.sweep_group)

    return Setup(spec, task, make_optimizer, elsewhere)


def grid(start_lr: float, end_lr: float, points: int, mode: str = "exp") -> list[float]:
    """Learning rates from `start_lr` to `end_lr`, both exact.

    >>> grid(0.01, 1.0, 3)
    [0.01, 0.1, 1.0]
    """
    if not start_lr < end_lr:
        raise UsageError(f"start_lr {start_lr:g} must lie below end_lr {end_lr:g}")
    if mode == "exp":
        lrs = start_lr * (end_lr / start_lr) ** (np.arange(points) / (points - 1))
    else:
        lrs = np.linspace(start_lr, end_lr, points)
    return [start_lr, *(float(lr) for lr in lrs[1:-1]), end_lr]


def range_test(setup: Setup, settings: Mapping[str, Any] | None = None) -> Iterator[Event]:
    """Run a range test. Yields progress events, then the `FindResult`, whose settings are the
    spec's unless given."""
    spec = setup.spec
    RULES.get(spec.rule, option="--rule")
    lrs, aim = grid(spec.start_lr, spec.end_lr, spec.points, spec.mode), Aim.of(spec, setup.task)
    prober, alone = Prober(setup, spec.verify_steps, setup.judge), others_train(setup)
    curves, ordered = yield from _sweeps(setup, lrs, alone=alone)
    answer = suggest(lrs, curves, rule=spec.rule, window=spec.window)
    if answer.reasons == (why.FLAT,) and not reached(setup):
        answer = replace(answer, reasons=(why.UNREACHED,))
    verification: Verification | None = None
    stability: Stability | None = None
    probes: list[Probe] = []
    lr = answer.lr
    if lr or answer.reasons == (why.NOISE,):
        cheap = _is_cheap(setup)
        if cheap if spec.verify is None else spec.verify:
            seeds = spec.seeds[: min(spec.verify_seeds, len(curves))]
            # if the sweep is lost in noise, a decade below its end
            start = lr or lrs[min(map(len, curves)) - 1] / 10
            search = _verification(prober, start, seeds, aim)
            verification = yield from _reported("verify", search, VERIFY_LRS * len(seeds), probes)
            lr = verification.lr if verification.learns else None
        if lr and (cheap and not alone if spec.max_stable is None else spec.max_stable):
            limit = _limit(prober, answer.lr or lr, () if aim else tuple(probes))
            stability = yield from _reported("stability", limit, STABLE_LRS, probes)

    settings = dict(settings or spec.model_dump(mode="json"))
    if alone:
        settings["others_train"] = True
    points = (
        CurvePoint(seed, step, lrs[step], _finite(loss), _finite(float(smoothed)))
        for seed, curve, smooth in zip(spec.seeds, curves, answer.smoothed, strict=False)
        for step, (loss, smoothed) in enumerate(zip(curve, smooth, strict=True))
    )
    found = FindResult(
        **_judged(answer, verification),
        lr_sweep=answer.lr,
        rules=answer.rules,
        max_stable_lr=stability.lr if stability else None,
        verification=_plain(verification) if verification else None,
        stability=stability.to_dict() if stability else None,
        table=(),
        settings=settings,
        changes=_changes(answer, spec),
        curve=tuple(points),
        trainings=tuple(map(vars, sorted(dict.fromkeys(probes), key=lambda p: (p.lr, p.seed)))),
    )
    one_curve = len(curves) < len(spec.seeds)
    yield _doubted(found, aim, spec.verify_steps, ordered=ordered, one_curve=one_curve)


def _plain(verification: Verification) -> dict[str, Any]:
    """As JSON has it; the loss at LR 0 is None if it is not finite."""
    start = _finite(verification.start)
    plain: dict[str, Any] = json.loads(json.dumps({**vars(verification), "start": start}))
    return plain


def _is_cheap(setup: Setup) -> bool:
    """True if short trainings are cheap; counts operations, never measures time."""
    given = setup.spec.verify is not None and setup.spec.max_stable is not None
    return given or step_flops(setup) <= SMALL_FLOPS


def _verification(
    prober: Prober, lr: float, seeds: Sequence[int], aim: Aim | None
) -> Iterator[Probe | Verification]:
    highest = prober.setup.spec.end_lr
    if aim is None:
        return verify(prober, lr, seeds, highest)
    along = replace(prober, steps=aim.tried, paces=aim.paces, untouched={})
    return verify(along, aim.guess(lr, prober.steps), seeds, highest / aim.peak)


def _doubted(
    found: FindResult, aim: Aim | None, steps: int, *, ordered: bool, one_curve: bool
) -> FindResult:
    """The answer for the requested run, with every reason to doubt it."""
    checked, peak = found.verification or {}, 1.0
    if aim is not None:
        found, peak = aim.adjusted(found, steps), aim.peak
    unstable = bool(found.lr and found.max_stable_lr and found.lr * peak > found.max_stable_lr)
    tried = [lr for lr, _ in checked.get("losses", ())]
    if unstable and not tried:
        found = replace(found, changes={"verify": True})
    return found.doubted(
        {
            why.HIGHEST: bool(tried) and checked["lr"] == tried[-1],
            why.LOWEST: bool(tried) and checked["lr"] == tried[0],
            why.UNSTABLE: unstable and bool(tried),
            why.UNVERIFIED: unstable and not tried,
            why.ORDERED: ordered,
            why.ONE_CURVE: one_curve,
        }
    )


def _sweeps(
    setup: Setup, lrs: Sequence[float], *, alone: bool
) -> Generator[FindProgress, None, tuple[list[list[float]], bool]]:
    """Returns one curve per seed, or only the first if the second is identical, and whether the
    effect of the batch order was subtracted.

    The loss also moves because other groups learn, or because the order of the batches is fixed.
    A second sweep with the swept groups at 0 shows this movement, which is then subtracted.
    """
    spec, shuffled = setup.spec, shuffles(setup.task)
    control = alone or not (spec.val_loss or shuffled)
    total = len(lrs) * len(spec.seeds) * (1 + control)
    curves: list[list[float]] = []
    first: list[float] = []
    seen: dict[Piece, list[float]] = {}
    parallel = shuffled and setup.elsewhere is not None

    def same(curve: list[float]) -> bool:
        return len(curve) == FEWEST and curve == first

    for seeds in (spec.seeds,) if parallel else (spec.seeds[:1], spec.seeds[1:]):
        pairs = [_pieces(setup, lrs, seed, control=control) for seed in seeds]
        pieces = [piece for pair in pairs for piece in pair]
        for piece, losses in setup.carried_out(pieces):
            curve = seen.setdefault(piece, [])
            if not losses:
                curve.clear()
            for loss in losses:
                curve.append(loss)
                done, lr = sum(map(len, seen.values())), piece.lrs[len(curve) - 1]
                yield FindProgress("sweep", piece.seed, done, total, lr, _finite(loss))
            if curves and piece is pieces[0] and same(curve):
                return curves, control and not alone
        for curve, *at_zero in ([seen[piece] for piece in pair] for pair in pairs):
            if same(curve[:FEWEST]):
                return curves, control and not alone
            if control and not alone and not curves:
                control = in_order(np.array(at_zero[0]))
            first = first or curve[:FEWEST]
            # the sweep at 0 is subtracted, except for its first loss
            curves.append(
                [a - b + at_zero[0][0] for a, b in zip(curve, at_zero[0], strict=False)]
                if control
                else curve
            )
    return curves, control and not alone


def _pieces(setup: Setup, lrs: Sequence[float], seed: int, *, control: bool) -> list[Piece]:
    """A seed's sweep and, with `control`, one at learning rate 0."""
    spec = setup.spec
    return [
        Piece(
            find=spec, kind="sweep", seed=seed, lrs=ramp, judged=spec.val_loss,
            steps=optimizer_steps(setup.task, spec.recipe) if spec.step == "epoch" else 1,
            stops=not spec.whole_range and not control,
        )
        for ramp in (tuple(lrs), (0.0,) * len(lrs))[: 1 + control]
    ]  # fmt: skip


def _limit(prober: Prober, lr: float, known: Sequence[Probe]) -> Iterator[Probe | Stability]:
    """Search for the stable limit upwards from the answer. If not even the answer converges,
    because a sweep runs ahead of the blow-up it causes, the search restarts a decade lower."""
    spec, steps = prober.setup.spec, settling_steps(prober.setup)
    if steps != prober.steps:
        prober, known = replace(prober, steps=steps, untouched={}), ()
    while True:
        search = largest_stable(
            prober,
            spec.seeds[0],
            start_lr=lr,
            end_lr=max(spec.end_lr, lr * 1e4),
            known=known,
            ratio=STABLE_RATIO,
        )
        for found in search:
            if isinstance(found, Probe):
                yield found
            elif found.lr is not None or found.above is None or lr <= spec.start_lr:
                yield found
                return
        known, lr = (), max(lr / 10, spec.start_lr)


def _reported(
    stage: Stage, search: Iterator[Any], total: int, probes: list[Probe]
) -> Generator[FindProgress, None, Any]:
    """Collect a search's probes, yield them as progress events, and return its result. `total`
    grows if there are more probes than expected."""
    done = 0
    for found in search:
        if isinstance(found, Probe):
            done += 1
            probes.append(found)
            yield FindProgress(stage, found.seed, done, max(total, done), found.lr, found.loss)
    return found


def _judged(answer: Suggestion, verification: Verification | None) -> dict[str, Any]:
    """The sweep's answer, corrected by the short trainings if there are any."""
    names = ("lr", "grade", "reasons", "band", "lr_range")
    fields = {name: getattr(answer, name) for name in names}
    if verification is None:
        return fields
    if verification.learns:
        decided = {"grade": "weak", "reasons": (why.DECIDED,)} if answer.lr is None else {}
        return {**fields, "lr": verification.lr, **decided}
    finite = (loss for _, loss in verification.losses if loss is not None)
    unclear = min(finite, default=math.inf) < verification.start
    first = why.UNCLEAR if unclear else why.UNTRAINED
    reasons = (first, *(reason for reason in answer.reasons if reason != why.NOISE))
    return {"lr": None, "grade": "none", "band": None, "lr_range": None, "reasons": reasons}


def _changes(answer: Suggestion, spec: FindSpec) -> Mapping[str, Any]:
    """The setting to change if there is no answer, and its new value."""
    reason = answer.reasons[0] if answer.lr is None else ""
    if not isinstance(reason, why.Reason) or not reason.option:
        return {}
    value = getattr(spec, reason.option) * reason.factor
    return {
        reason.option: max(100, int(value)) if reason.option == "points" else float(f"{value:g}")
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
