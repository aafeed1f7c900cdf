"""The next trials, from what is asked and what is known. Pure: resuming is the same call again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Literal, get_args

from lrbench.errors import Notice
from lrbench.experiment import CompareSpec, FindSpec, TrialSpec
from lrbench.plan.cell import CellPlan
from lrbench.plan.grid import advice, first_grid, log_grid
from lrbench.plan.notices import edge_notices, saving
from lrbench.plan.scores import missing
from lrbench.records import History
from lrbench.schedules.units import tidy

__all__ = ["Plan", "StepsPerEpoch", "advice", "log_grid", "plan", "recorded_steps"]

MAX_EXTENSIONS = 2
Stage = Literal["find", "tune", "final", "done"]
StepsPerEpoch = Mapping[int, int]
"""Optimizer steps in an epoch, by batch size."""


def recorded_steps(manifest: Mapping[str, Any]) -> dict[int, int]:
    """Optimizer steps in an epoch by batch size, from a run's manifest: one number where it has
    but one batch size."""
    steps = manifest["steps_per_epoch"]
    if isinstance(steps, int):
        return {manifest["experiment"]["recipe"]["batch_size"]: steps}
    return {int(size): count for size, count in steps.items()}


@dataclass(frozen=True)
class Plan:
    """What to do next, and what is settled so far.

    `tuning` and `finals` are the trials that the comparison consists of so far, done or not;
    `trials` those of them that are to be trained next. `chosen` is by schedule; with several
    cells, that of the first.
    """

    stage: Stage
    find: FindSpec | None = None
    trials: tuple[TrialSpec, ...] = ()
    grid: tuple[float, ...] = ()
    chosen: Mapping[str, float] = field(default_factory=dict)
    tuning: tuple[TrialSpec, ...] = ()
    finals: tuple[TrialSpec, ...] = ()
    notices: tuple[Notice, ...] = ()


def plan(
    spec: CompareSpec,
    histories: Mapping[str, History],
    finds: Mapping[str, Mapping[str, Any]],
    steps_per_epoch: StepsPerEpoch,
) -> Plan:
    """The next stage of a comparison: range test, tuning, up to two extensions of the grid,
    final seeds; no trials when nothing is left. A stage is done for every cell before the next
    begins for any.

    Raises:
        NoLearningRate: a range test found none that it could defend.
    """
    plans = [
        _planned(CellPlan(spec, cell, steps_per_epoch[cell.recipe.batch_size]), histories, finds)
        for cell in spec.cells
    ]
    stage = min((each.stage for each in plans), key=get_args(Stage).index)
    return Plan(
        stage,
        find=next((each.find for each in plans if each.find is not None), None),
        trials=_joined(each.trials for each in plans if each.stage == stage),
        grid=plans[0].grid,
        chosen=plans[0].chosen,
        tuning=_joined(each.tuning for each in plans),
        finals=_joined(each.finals for each in plans),
        notices=tuple(chain.from_iterable(each.notices for each in plans)),
    )


def _joined(parts: Iterable[tuple[TrialSpec, ...]]) -> tuple[TrialSpec, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(parts)))


def _planned(
    here: CellPlan, histories: Mapping[str, History], finds: Mapping[str, Mapping[str, Any]]
) -> Plan:
    spec = here.spec
    missing_find = next((test for test in here.range_tests() if test.id not in finds), None)
    if missing_find is not None:
        return Plan("find", find=missing_find)
    scale = spec.lr_scale(here.cell.recipe)
    answer = finds[spec.range_test(here.cell.recipe).id] if spec.auto else None
    grid = first_grid(spec, answer, scale)
    centres = here.contender_centres(finds)
    here = replace(here, centre=grid[len(grid) // 2] / scale, centres=centres, first=grid)
    for extensions in range(MAX_EXTENSIONS + 1):
        tuning = here.tuning(grid, histories)
        left = missing(tuning, histories)
        if left:
            return Plan("tune", trials=left, grid=grid, tuning=tuning)
        chosen = {name: here.choose(name, tuning, histories) for name in spec.entrants}
        wider = extended(here, grid, chosen)
        if wider == grid or not spec.auto or extensions == MAX_EXTENSIONS:
            break
        grid = wider

    finals = tuple(
        here.trial(name, chosen[name], seed, "final")
        for seed in spec.final_seeds
        for name in spec.entrants
    )
    left = missing(finals, histories)
    notices = (*edge_notices(here, grid, chosen), *saving(here, grid, tuning))
    return Plan("final" if left else "done", None, left, grid, chosen, tuning, finals, notices)


def extended(
    here: CellPlan, grid: tuple[float, ...], chosen: Mapping[str, float]
) -> tuple[float, ...]:
    """The grid with one more point beyond each edge on which some schedule's best lies."""
    edges = {here.edge(schedule, grid, lr) for schedule, lr in chosen.items()}
    factor = here.spec.lr_factor
    below = (tidy(min(grid) / factor),) if "low" in edges else ()
    above = (tidy(max(grid) * factor),) if "high" in edges else ()
    return (*below, *grid, *above)
