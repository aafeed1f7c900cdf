"""Range tests over batch size and momentum, next to the predictions of the two common rules."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lrbench.options import FindSpec, Recipe
from lrbench.rangetest.find import Event, find_events
from lrbench.rangetest.result import FindResult
from lrbench.rangetest.sweep import Elsewhere
from lrbench.tasks.base import Task

Row = Mapping[str, Any]


def table_events(
    spec: FindSpec, task_of: Callable[[Recipe], Task], elsewhere: Elsewhere | None = None
) -> Iterator[Event]:
    """The range test of a spec, then that of each cell of its table: progress, and the first one's
    result last, with the table."""
    cells = spec.cells
    if not cells:
        yield from find_events(spec, task_of(spec.recipe), elsewhere)
        return
    tasks = {recipe: task_of(recipe) for recipe in (spec.recipe, *cells)}
    max_stable = True if spec.max_stable is None else spec.max_stable
    results: dict[Recipe, FindResult] = {}
    for recipe, task in tasks.items():
        part = f"batch {recipe.batch_size}, momentum {recipe.momentum:g}"
        update = {"recipe": recipe, "max_stable": max_stable, "batch_sizes": (), "momenta": ()}
        for event in find_events(spec.model_copy(update=update), task, elsewhere):
            if isinstance(event, FindResult):
                results[recipe] = event
            else:
                yield replace(event, part=part)
    rows = table([(recipe, results[recipe]) for recipe in cells], spec.recipe.batch_size)
    first = results[spec.recipe]
    yield replace(first, table=rows, settings=spec.model_dump(mode="json"))


def table(found: Sequence[tuple[Recipe, FindResult]], batch_size: int) -> tuple[Row, ...]:
    """One row for each range test, with the rules' predictions from one of the same momentum: that
    of `batch_size`, or else the smallest batch with an answer.

    The square-root rule preserves the noise of an update (Krizhevsky, "One weird trick", 2014), the
    linear rule the progress of an epoch (Goyal et al., "Accurate, large minibatch SGD", 2017).
    """
    return tuple(
        {
            "batch_size": recipe.batch_size,
            "momentum": recipe.momentum,
            "grade": result.grade,
            "lr": result.lr,
            "lr_sweep": result.lr_sweep,
            "max_stable_lr": result.max_stable_lr,
            **_foretold(found, recipe, batch_size),
            "reasons": list(result.reasons),
        }
        for recipe, result in found
    )


def _foretold(
    found: Sequence[tuple[Recipe, FindResult]], recipe: Recipe, batch_size: int
) -> dict[str, float | None]:
    known = {r.batch_size: f.lr for r, f in found if r.momentum == recipe.momentum and f.lr}
    if not known:
        return {"lr_sqrt_rule": None, "lr_linear_rule": None}
    size = batch_size if batch_size in known else min(known)
    ratio = recipe.batch_size / size
    return {"lr_sqrt_rule": known[size] * math.sqrt(ratio), "lr_linear_rule": known[size] * ratio}
