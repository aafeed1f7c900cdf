"""The next trials, given the question and the records so far. Pure: resuming is the same call
again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal, get_args

from lrbench.errors import Notice, Topic
from lrbench.options import CompareSpec, FindSpec, TrialSpec
from lrbench.plan.cell import CellPlan, Finds, Histories, Scales, missing
from lrbench.plan.choice import Choice

__all__ = ["Choice", "Plan", "StepsPerEpoch", "missing", "own_scales", "plan", "recorded_steps"]

MAX_EXTENSIONS = 2
Stage = Literal["find", "tune", "final", "done"]
StepsPerEpoch = Mapping[int, int]
"""Optimizer steps per epoch, by images per step."""


def recorded_steps(manifest: Mapping[str, Any]) -> dict[int, int]:
    """Optimizer steps per epoch by images per step, from a run's manifest."""
    steps = manifest["steps_per_epoch"]
    if isinstance(steps, int):
        recipe = manifest["experiment"]["recipe"]
        return {recipe["batch_size"] * (recipe.get("accumulate") or 1): steps}
    return {int(size): count for size, count in steps.items()}


@dataclass(frozen=True)
class Plan:
    """What to do next, and what is settled so far.

    `tuning` and `finals` are the trials that the comparison consists of so far, done or not;
    `trials` are those to train next. `choices` hold the LR of each schedule and why, by schedule,
    epochs and batch size, in the first study.
    """

    stage: Stage
    find: FindSpec | None = None
    trials: tuple[TrialSpec, ...] = ()
    choices: Mapping[tuple[str, int, int], Choice] = field(default_factory=dict)
    tuning: tuple[TrialSpec, ...] = ()
    finals: tuple[TrialSpec, ...] = ()
    notices: tuple[Notice, ...] = ()

    def of_shard(self, shard: tuple[int, int] | None) -> "Plan":
        """The plan of one shard (number, count): every count-th final trial, none for shard 0.
        Range tests and tuning are not shared out, as they decide which final trials there are."""
        if shard is None or self.stage != "final":
            return self
        number, count = shard
        mine = {*self.finals[number - 1 :: count]} if number else set()
        trials = tuple(trial for trial in self.trials if trial in mine)
        return replace(self, stage="final" if trials else "done", trials=trials)


def plan(
    spec: CompareSpec,
    histories: Histories,
    finds: Finds,
    steps_per_epoch: StepsPerEpoch,
    scales: Scales = MappingProxyType({}),
) -> Plan:
    """The next stage of a comparison: range test, tuning, up to two extensions of the grid,
    final trials; no trials when nothing is left. Every cell finishes a stage before any begins
    the next.

    Raises:
        NoLearningRate: a range test found no LR it could defend.
    """
    cells = (CellPlan(spec, cell, steps_per_epoch, scales) for cell in spec.cells)
    plans = [_planned(cell, histories, finds) for cell in cells]
    stage = min((each.stage for each in plans), key=get_args(Stage).index)
    return Plan(
        stage,
        find=next((each.find for each in plans if each.find is not None), None),
        trials=_joined(each.trials for each in plans if each.stage == stage),
        choices={key: choice for each in reversed(plans) for key, choice in each.choices.items()},
        tuning=_joined(each.tuning for each in plans),
        finals=_joined(each.finals for each in plans),
        notices=tuple(chain.from_iterable(each.notices for each in plans)),
    )


def own_scales(spec: CompareSpec, steps_per_epoch: StepsPerEpoch) -> Scales:
    """Scales of the user's own schedules, found by calling them once, for later calls of `plan`."""
    cells = (CellPlan(spec, cell, steps_per_epoch) for cell in spec.cells)
    return dict(chain.from_iterable(cell.own_scales() for cell in cells))


def _joined(parts: Iterable[tuple[TrialSpec, ...]]) -> tuple[TrialSpec, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(parts)))


def _planned(here: CellPlan, histories: Histories, finds: Finds) -> Plan:
    spec = here.spec
    missing_find = next((test for test in here.range_tests() if test.id not in finds), None)
    if missing_find is not None:
        return Plan("find", find=missing_find)
    here = here.centred(finds)
    places = here.places
    decayed = [replace(here, decay=decay) for decay in spec.weight_decays] or [here]
    for extensions in range(MAX_EXTENSIONS + 1):
        parts = [each.tuning(places, histories) for each in decayed]
        tuning = _joined(parts)
        if left := missing(tuning, histories):
            return Plan("tune", trials=left, tuning=tuning)
        pairs = zip(decayed, parts, strict=True)
        tables = [each.choices(places, trials, histories) for each, trials in pairs]
        taken = here.best_decays(tables)
        choices = {name: tables[number][name] for name, number in taken.items()}
        edges = {choice.edge for choice in choices.values()} - {""}
        if not edges or not spec.auto or extensions == MAX_EXTENSIONS:
            break
        places = tuple(range(places[0] - ("low" in edges), places[-1] + 1 + ("high" in edges)))

    chosen = {name: here.chosen(name, choices) for name in here.entered}
    finals = tuple(
        decayed[taken.get(name, 0)].trial(name, chosen[name], seed, "final")
        for seed in spec.final_seeds(here.cell.study)
        for name in here.entered
    )
    left = missing(finals, histories)
    key = here.cell.epochs, here.cell.recipe.batch_size
    return Plan(
        "final" if left else "done",
        trials=left,
        choices={(name, *key): choice for name, choice in choices.items()},
        tuning=tuning,
        finals=finals,
        notices=tuple(_edges(here, choices, taken)),
    )


def _edges(
    here: CellPlan, choices: Mapping[str, Choice], taken: Mapping[str, int]
) -> Iterator[Notice]:
    """Notices that the best LR or weight decay is the lowest or highest that was tried."""
    fixed, decays = any(arm.lr for arm in here.spec.arms), here.spec.weight_decays
    option = f"--lr-points {here.spec.lr_points + 2}" if fixed else "--lr"
    known = {name: choice for name, choice in choices.items() if choice.candidate.ended_well}
    for side, beyond, extreme in (("low", "below", min), ("high", "above", max)):
        if names := [name for name, choice in known.items() if choice.edge == side]:
            lrs = ", ".join(dict.fromkeys(f"{choices[name].lr:g}" for name in names))
            yield Notice(
                Topic.EDGE_OF_GRID,
                f"{here.where}the best LR of {', '.join(names)} is the {side}est that was tried "
                f"({lrs})",
                f"widen the grid with {option}, as the optimum may lie {beyond}",
                tuple((name, side) for name in names),
            )
        end = extreme(decays, default=0)
        if names := [name for name in taken if decays and decays[taken[name]] == end > 0]:
            yield Notice(
                Topic.EDGE_OF_GRID,
                f"{here.where}the best weight decay of {', '.join(names)} is the {side}est that "
                f"was tried ({end:g})",
                "name more values with --weight-decay",
            )
