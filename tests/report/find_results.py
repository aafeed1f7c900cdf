"""Results of range tests to render, made without training."""

from dataclasses import replace

import numpy as np

from lrbench.options import FindSpec, Recipe
from lrbench.rangetest.find import table
from lrbench.rangetest.result import CurvePoint, FindResult
from lrbench.rangetest.suggest import suggest
from tests.rangetest.curves import hill


def found(recipe: Recipe | None = None) -> FindResult:
    """Three seeds on the logistic curve, one of which ended in an infinite loss."""
    lrs, loss = hill()
    rng = np.random.default_rng(0)
    curves = [loss + 0.05 * rng.standard_normal(100) for _ in range(3)]
    curves[2] = curves[2][:90]
    curves[2][89] = np.inf
    answer = suggest(lrs, curves)
    assert answer.lr is not None
    points = [
        CurvePoint(seed, step, float(lrs[step]), _finite(loss), _finite(smoothed))
        for seed, (curve, smooth) in enumerate(zip(curves, answer.smoothed, strict=True))
        for step, (loss, smoothed) in enumerate(zip(curve, smooth, strict=True))
    ]
    return FindResult(
        lr=2 * answer.lr,
        lr_sweep=answer.lr,
        grade=answer.grade,
        reasons=answer.reasons,
        band=answer.band,
        lr_range=answer.lr_range,
        max_stable_lr=0.2,
        rules=answer.rules,
        verification={
            "lr": 2 * answer.lr,
            "confirmed": False,
            "learns": True,
            "start": 2.3,
            "equally_good": [answer.lr, 2 * answer.lr],
            "steps": 64,
            "seeds": [0, 1],
            "losses": [[answer.lr, 0.4], [2 * answer.lr, 0.3], [30 * answer.lr, None]],
            "data": "validation",
        },
        stability={"lr": 0.2, "above": "diverges", "steps": 64},
        table=(),
        settings=FindSpec(recipe=recipe or Recipe()).model_dump(mode="json"),
        curve=tuple(points),
        trainings=({"lr": answer.lr, "seed": 0, "steps": 64, "loss": 0.4, "fall": 1.9},),
    )


def tabled() -> FindResult:
    """The same with a table of three batch sizes and two momenta, one cell without an answer."""
    first = found()
    cells = [
        (Recipe(batch_size=size, momentum=momentum), replace(first, lr=lr))
        for momentum, scale in ((0.0, 5.0), (0.9, 1.0))
        for size, lr in ((32, 0.01 * scale), (128, 0.02 * scale), (512, 0.05 * scale))
    ]
    cells[2] = (cells[2][0], not_found())
    return replace(first, table=table(cells, 128))


def not_found(
    reason: str = "flat: the loss does not change; raise --end-lr", **changes: object
) -> FindResult:
    """A range test on which nothing was learnt, and the settings to try instead."""
    first = found()
    parts = ("lr", "lr_sweep", "band", "lr_range", "max_stable_lr", "verification", "stability")
    return replace(
        first,
        **dict.fromkeys(parts),
        grade="none",
        reasons=(reason,),
        rules=dict.fromkeys(first.rules),
        trainings=(),
        changes=changes,
        curve=tuple(CurvePoint(0, i, 10.0 ** (i - 6), 2.3, 2.3) for i in range(7)),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
