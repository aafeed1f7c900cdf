"""The trials of one cell of a comparison: one recipe and one budget."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from lrbench.options import Arm, Cell, CompareSpec, FindSpec, Recipe, TrialSpec
from lrbench.plan.choice import Choice, Edge, Tuned, choose, choose_table
from lrbench.plan.factors import centre, defended, largest_tried, peak_factor
from lrbench.records import History
from lrbench.schedules import Schedule, parse, stretched
from lrbench.schedules.units import tidy

Finds = Mapping[str, Mapping[str, Any]]
Histories = Mapping[str, History]
Scales = Mapping[str, Sequence[float]]
"""Results of `CellPlan.scale` for the user's own schedules, so that their code runs only once."""

MOST_CHANCE = 0.5


@dataclass(frozen=True)
class Middle:
    """Of an entrant's grid of highest LRs: the middle (`lr`), and the largest to try (`limit`).
    `reference` is the base LR at which absolute LRs of parameter groups hold."""

    lr: float
    reference: float
    limit: float = math.inf


@dataclass(frozen=True)
class CellPlan:
    """What all trials of a cell share.

    A grid is a list of places: the LR at a place is that of the middle, place 0, times a power of
    the factor, or a named LR. Absolute LRs of parameter groups hold at the `reference`: the
    range test's LR, or the middle of the named ones, before any scaling by the batch size.
    `steps_per_epoch` are optimizer steps, by images per step; `decay` is the weight decay of the
    trials if several are tuned, each over the same grids.
    """

    spec: CompareSpec
    cell: Cell
    steps_per_epoch: Mapping[int, int]
    scales: Scales = field(default_factory=dict)
    reference: float = 1.0
    middles: Mapping[str, Middle] = field(default_factory=dict)
    decay: float | None = None

    @cached_property
    def entered(self) -> Mapping[str, Arm]:
        return self.spec.entered

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The initial places."""
        points = self.spec.lr_points if self.spec.auto else len(self.spec.lrs)
        return tuple(range(-(points // 2), points - points // 2))

    @property
    def where(self) -> str:
        """Which of several cells this is, in words."""
        parts = [f"epochs {self.cell.epochs}"] if self.spec.budgets else []
        parts += [f"batch {self.cell.recipe.batch_size}"] if self.spec.batch_sizes else []
        parts += [f"study {self.cell.study + 1}"] if self.cell.study else []
        return f"{', '.join(parts)}: " if parts else ""

    def recipe(self, name: str) -> Recipe:
        return self.entered[name].recipe(self.cell.recipe)

    def tuned(self, name: str) -> bool:
        """False if the spec names its LR, so that there is nothing to choose."""
        return self._parsed(name).fixed_lr is None

    def range_tests(self) -> Iterator[FindSpec]:
        """The range tests that centre the grids, the plain recipe's first."""
        if self.spec.auto:
            yield from (self._test(name) for name, arm in self.entered.items() if not arm.lr)

    def _test(self, name: str) -> FindSpec:
        scaled = self.entered[name].lr_scaling
        return self.spec.range_test(self.cell.recipe if scaled else self.recipe(name))

    def centred(self, finds: Finds) -> CellPlan:
        """This plan with its grids centred by the range tests."""
        if not self.spec.auto:
            return replace(self, reference=self.spec.lrs[len(self.spec.lrs) // 2])
        plain = defended(finds[next(self.range_tests()).id])
        middles = {name: self._middle(name, finds) for name in self.entered if self.tuned(name)}
        return replace(self, reference=plain, middles=middles)

    def _middle(self, name: str, finds: Finds) -> Middle:
        arm = self.entered[name]
        if arm.lr:
            return Middle(arm.lr, arm.lr)
        answer = finds[self._test(name).id]
        lr, stable, factor = defended(answer), answer.get("max_stable_lr"), self.scale(name)[1]
        most = largest_tried(stable, factor) if stable else math.inf
        reach = self.spec.lr_factor ** self.places[-1]
        scale = arm.lr_factor(self.cell.recipe)
        return Middle(tidy(centre(lr, factor, most, reach) * scale), lr, most * scale)

    def _parsed(self, name: str) -> Schedule:
        return parse(str(self.entered[name].schedule))

    def _stretch(self, name: str) -> float | None:
        """The cell's `stretch`; None if it changes nothing, so that the trial keeps its id. The
        schedules of parameter groups are stretched as well."""
        parsed, share = self._parsed(name), self.cell.stretch
        same = not self.recipe(name).groups and stretched(parsed, share) == parsed
        return None if same else share

    def _clock(self, name: str) -> tuple[int, int]:
        """Total steps, and steps per epoch."""
        per_epoch = self.steps_per_epoch[self.recipe(name).effective_batch]
        return self.cell.epochs * per_epoch, per_epoch

    def scale(self, name: str) -> Sequence[float]:
        """(highest LR / base LR, `peak_factor`) of a schedule; the latter is 1 if no range test
        centres the grids."""
        if known := self.scales.get(self._scale_key(name)):
            return known
        schedule, clock = stretched(self._parsed(name), self.cell.stretch), self._clock(name)
        return schedule.peak(*clock), peak_factor(schedule, *clock) if self.spec.auto else 1.0

    def own_scales(self) -> Iterator[tuple[str, Sequence[float]]]:
        for name in self.entered:
            if any(call.is_plugin for call in self._parsed(name).all_calls()):
                for here in (self, *self._rungs()):
                    yield here._scale_key(name), here.scale(name)

    def _scale_key(self, name: str) -> str:
        steps, per_epoch = self._clock(name)
        schedule = stretched(self._parsed(name), self.cell.stretch)
        return f"{schedule}, {steps} steps, {per_epoch} an epoch"

    def grid(self, name: str, places: Iterable[int]) -> dict[int, float]:
        """The base LR at each place that is not above the limit."""
        limit = self.middles[name].limit if name in self.middles else math.inf
        ratio = self.scale(name)[0]
        peaks = {place: self._peak(name, place) for place in places}
        return {
            place: peak if math.isclose(ratio, 1.0, rel_tol=1e-9) else tidy(peak / ratio)
            for place, peak in peaks.items()
            if peak <= limit * (1 + 1e-9)
        }

    def _peak(self, name: str, place: int) -> float:
        """The highest LR of a training at a place of the entrant's grid."""
        if name in self.middles:
            return tidy(self.middles[name].lr * self.spec.lr_factor**place)
        named = self.spec.lrs[place - self.places[0]]
        arm, plain = self.entered[name], self.cell.recipe
        scaled = plain if arm.lr_scaling else arm.recipe(plain)
        scale = self.spec.lr_scale(scaled) * arm.lr_factor(plain)
        return named if scale == 1 else tidy(named * scale)

    def trial(self, name: str, lr: float, seed: int, stage: Literal["tune", "final"]) -> TrialSpec:
        plain, recipe, schedule = self.cell.recipe, self.recipe(name), self.entered[name].schedule
        middle = self.middles.get(name)
        if self.decay is not None:
            recipe = recipe.model_copy(update={"weight_decay": self.decay})
        reference = middle.reference if middle else self.reference
        return TrialSpec(
            recipe=recipe,
            schedule=str(schedule),
            lr=lr,
            seed=seed,
            stage=stage,
            epochs=self.cell.epochs,
            lr_reference=reference if recipe.groups else None,
            stretch=self._stretch(name),
            study=self.cell.study,
            arm="" if name == schedule else name,
            ranked_with=None if recipe.batch_size == plain.batch_size else plain.batch_size,
        )

    def tuning(self, places: Sequence[int], histories: Histories) -> tuple[TrialSpec, ...]:
        """The trials that choose among the learning rates; none if there is no choice.

        With successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) only the best
        learning rates of a shorter training are trained for longer; each length is planned once the
        previous one is done. Extensions of the grid are trained in full.
        """
        if len(places) < 2 and self.decay is None:
            return ()
        wanted: list[TrialSpec] = []
        left = {name: {*places} for name in self.entered if self.tuned(name)}
        for number, rung in enumerate(self._rungs(), 1):
            trials = rung._trials_at({name: left[name] & {*self.places} for name in left})
            wanted += trials
            if missing(trials, histories):
                return tuple(wanted)
            count = max(1, len(self.places) // 2**number)
            for name, choice in rung.choices(self.places, trials, histories).items():
                best = sorted(choice.candidates, key=lambda each: -each.score)[:count]
                left[name] = {each.place for each in best} | {*places} - {*self.places}
        return (*wanted, *self._trials_at(left))

    def _rungs(self) -> list[CellPlan]:
        """The shorter trainings of successive halving: a quarter and half of the whole."""
        whole = self.cell.epochs
        lengths = sorted({max(1, whole // 4), max(1, whole // 2)} - {whole})
        cells = [
            self.cell.model_copy(update={"epochs": epochs, "stretch": epochs / self.spec.epochs})
            for epochs in (lengths if self.spec.halving else ())
        ]
        return [replace(self, cell=cell) for cell in cells]

    def _trials_at(self, places: Mapping[str, Collection[int]]) -> list[TrialSpec]:
        """Tuning trials at each entrant's places, seed by seed."""
        grids = {name: self.grid(name, own) for name, own in places.items()}
        return [
            self.trial(name, grid[place], seed, "tune")
            for seed in self.spec.all_tuning_seeds(self.cell.study)
            for place in sorted(set().union(*grids.values()))
            for name, grid in grids.items()
            if place in grid
        ]

    def choices(
        self, places: Sequence[int], trials: Iterable[TrialSpec], histories: Histories
    ) -> dict[str, Choice]:
        """Which LR each tuned entrant takes, and why. The schedules of one recipe are judged
        together."""
        mine = [trial for trial in trials if trial.epochs == self.cell.epochs]
        metric, nothing = self.spec.metric, _chance(self.spec.metric, mine, histories)
        tried = {trial.name: self.grid(trial.name, places) for trial in mine}
        place_of = {(name, lr): place for name in tried for place, lr in tried[name].items()}
        rows = [
            Tuned(t.name, place_of[t.name, t.lr], t.lr, t.seed, *_reached(metric, histories[t.id]))
            for t in mine
        ]
        found: dict[str, Choice] = {}
        for names in self._by_recipe(tried):
            found |= choose([row for row in rows if row.schedule in names], nothing)
        edges = {name: self._edge(name, found[name].place, places) for name in tried}
        return {name: replace(found[name], edge=edge) for name, edge in edges.items()}

    def best_decays(self, tables: Sequence[Mapping[str, Choice]]) -> dict[str, int]:
        """The index of the weight decay whose LR each tuned entrant takes, chosen for all entrants
        of a recipe together."""
        found: dict[str, int] = {}
        for names in self._by_recipe(tables[0]):
            found |= choose_table([{name: table[name] for name in names} for table in tables])
        return found

    def _by_recipe(self, names: Iterable[str]) -> Collection[list[str]]:
        among: dict[Recipe, list[str]] = {}
        for name in names:
            among.setdefault(self.recipe(name), []).append(name)
        return among.values()

    def _edge(self, name: str, place: int, places: Sequence[int]) -> Edge:
        """The end of the grid that a place is at; not "high" if the next LR is above the limit."""
        grid = self.grid(name, places)
        if place == min(grid):
            return "low"
        goes_on = name not in self.middles or self.grid(name, (place + 1,))
        return "high" if place == max(grid) and goes_on else ""

    def chosen(self, name: str, choices: Mapping[str, Choice]) -> float:
        """The LR of an entrant's final trials: the one that tuning chose, or the only one."""
        if name in choices:
            return choices[name].lr
        return self._parsed(name).fixed_lr or self.grid(name, self.places)[0]


def missing(wanted: Iterable[TrialSpec], histories: Histories) -> tuple[TrialSpec, ...]:
    """The trials that have not ended yet."""
    known = ((trial, histories.get(trial.id)) for trial in wanted)
    return tuple(trial for trial, history in known if history is None or history.end is None)


def _reached(metric: str, history: History) -> tuple[float | None, float | None]:
    """The metric on validation data after the last epoch, higher is better, and the validation
    loss; without an accuracy, the negative loss. None for a trial that did not end well."""
    if history.end is None or history.end.status != "done" or not history.epochs:
        return None, None
    loss, accuracy = history.epochs[-1].val_loss, _accuracy(metric, history)
    worth = None if loss is None else -loss
    return worth if accuracy is None else accuracy, loss


def _accuracy(metric: str, history: History) -> float | None:
    if not history.epochs or not metric.endswith("accuracy"):
        return None
    last = history.epochs[-1]
    balanced = metric.endswith("balanced_accuracy")
    return last.val_balanced_accuracy if balanced else last.val_accuracy


def _chance(metric: str, trials: Iterable[TrialSpec], histories: Histories) -> float:
    """The metric of a model that has learnt nothing: the negative loss before training or, as an
    accuracy, exp(-loss), which is 1/classes for a cross-entropy. If no trial recorded its loss
    before training: an accuracy of 0, or the worst loss."""
    ended = [histories[trial.id] for trial in trials]
    starts = [each.end.start_loss for each in ended if each.end and each.end.start_loss is not None]
    if any(_accuracy(metric, each) is not None for each in ended):
        return min(MOST_CHANCE, math.exp(-statistics.median(starts))) if starts else 0.0
    if starts:
        return -statistics.median(starts)
    values = (_reached(metric, each)[0] for each in ended)
    return min((value for value in values if value is not None), default=0.0)
