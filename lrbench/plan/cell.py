"""The trials of one cell of a comparison: one recipe and one budget."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from lrbench.options import Arm, Cell, CompareSpec, FindSpec, Recipe, TrialSpec
from lrbench.plan.choice import Choice, Edge, Tuned, choose, choose_table
from lrbench.plan.factors import centre, defended, largest_tried, peak_factor
from lrbench.plan.scores import chance, missing, reached
from lrbench.records import History
from lrbench.schedules import Schedule, parse, stretched
from lrbench.schedules.units import tidy

Finds = Mapping[str, Mapping[str, Any]]
Histories = Mapping[str, History]
Scales = Mapping[str, Sequence[float]]
"""What `CellPlan.scale` gave for the user's own schedules, whose code need not run again for it."""


@dataclass(frozen=True)
class Middle:
    """The middle of an entrant's grid of highest LRs, the largest that is to be tried, and the LR
    at which absolute LRs of parameter groups hold."""

    lr: float
    reference: float
    limit: float = math.inf


@dataclass(frozen=True)
class CellPlan:
    """What all trials of a cell share.

    A grid is a row of places: the LR of a place is that of the middle, place 0, times a power of
    the factor, or one that was named. Absolute LRs of parameter groups hold at the `reference`: the
    range test's LR, or the middle one of those named, before any scaling by the batch.
    `steps_per_epoch` are optimizer steps, by the images in one; `decay` is the weight decay of the
    trials where several are tuned, each over the same grids.
    """

    spec: CompareSpec
    cell: Cell
    steps_per_epoch: Mapping[int, int]
    reference: float = 1.0
    middles: Mapping[str, Middle] = field(default_factory=dict)
    decay: float | None = None
    scales: Scales = field(default_factory=dict)

    @cached_property
    def entered(self) -> Mapping[str, Arm]:
        return self.spec.entered

    def recipe(self, name: str) -> Recipe:
        return self.entered[name].recipe(self.cell.recipe)

    def by_decay(self) -> list[CellPlan]:
        """One for each weight decay."""
        return [replace(self, decay=each) for each in self.spec.weight_decays] or [self]

    def range_tests(self) -> Iterator[FindSpec]:
        """Those that the grids are to be centred by."""
        if self.spec.auto:
            yield self.spec.range_test(self.cell.recipe)
            for name, arm in self.entered.items():
                if not (arm.lr or arm.lr_scaling):
                    yield self.spec.range_test(self.recipe(name))

    def centred(self, finds: Finds) -> CellPlan:
        """With the middles of all grids, from the range tests."""
        if not self.spec.auto:
            return replace(self, reference=self.spec.lrs[len(self.spec.lrs) // 2])
        plain = defended(finds[self.spec.range_test(self.cell.recipe).id])
        middles = {name: self._middle(name, finds) for name in self.entered if self.tuned(name)}
        return replace(self, reference=plain, middles=middles)

    def _middle(self, name: str, finds: Finds) -> Middle:
        arm = self.entered[name]
        if arm.lr:
            return Middle(arm.lr, arm.lr)
        recipe = self.cell.recipe if arm.lr_scaling else self.recipe(name)
        answer = finds[self.spec.range_test(recipe).id]
        lr, stable, factor = defended(answer), answer.get("max_stable_lr"), self.scale(name)[1]
        most = largest_tried(stable, factor) if stable else math.inf
        reach = self.spec.lr_factor ** self.places[-1]
        scale = arm.lr_factor(self.cell.recipe)
        return Middle(tidy(centre(lr, factor, most, reach) * scale), lr, most * scale)

    @property
    def places(self) -> tuple[int, ...]:
        """Those to begin with."""
        points = self.spec.lr_points if self.spec.auto else len(self.spec.lrs)
        return tuple(range(-(points // 2), points - points // 2))

    @property
    def key(self) -> tuple[int, int]:
        return self.cell.epochs, self.cell.recipe.batch_size

    def _clock(self, name: str) -> tuple[int, int]:
        """Steps in all, and in an epoch."""
        per_epoch = self.steps_per_epoch[self.recipe(name).effective_batch]
        return self.cell.epochs * per_epoch, per_epoch

    def _parsed(self, name: str) -> Schedule:
        return parse(str(self.entered[name].schedule))

    def _stretched(self, name: str) -> Schedule:
        return stretched(self._parsed(name), self.cell.stretch)

    def peak(self, name: str, place: int) -> float:
        """The highest LR of a training at one place of the entrant's grid."""
        if name in self.middles:
            return tidy(self.middles[name].lr * self.spec.lr_factor**place)
        named = self.spec.lrs[place - self.places[0]]
        arm, plain = self.entered[name], self.cell.recipe
        scaled = plain if arm.lr_scaling else arm.recipe(plain)
        scale = self.spec.lr_scale(scaled) * arm.lr_factor(plain)
        return named if scale == 1 else tidy(named * scale)

    def grid(self, name: str, places: Iterable[int]) -> dict[int, float]:
        """The base LR at each place that is not above the limit."""
        limit = self.middles[name].limit if name in self.middles else math.inf
        return {
            place: self.base_lr(name, peak)
            for place in places
            if (peak := self.peak(name, place)) <= limit * (1 + 1e-9)
        }

    def trial(self, name: str, lr: float, seed: int, stage: Literal["tune", "final"]) -> TrialSpec:
        plain, recipe, arm = self.cell.recipe, self.recipe(name), self.entered[name]
        middle = self.middles.get(name)
        reference = middle.reference if middle else self.reference
        schedule = str(arm.schedule)
        if self.decay is not None:
            recipe = recipe.model_copy(update={"weight_decay": self.decay})
        return TrialSpec(
            recipe=recipe,
            schedule=schedule,
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

    def _stretch(self, name: str) -> float | None:
        """The cell's share; None where it changes nothing, so that the trial is the ordinary one.
        The schedules of parameter groups are stretched as well."""
        parsed, share = self._parsed(name), self.cell.stretch
        same = not self.recipe(name).groups and stretched(parsed, share) == parsed
        return None if same else share

    @property
    def where(self) -> str:
        """Which of several cells, in words."""
        parts = []
        if self.spec.budgets:
            parts.append(f"epochs {self.cell.epochs}")
        if self.spec.batch_sizes:
            parts.append(f"batch {self.cell.recipe.batch_size}")
        if self.cell.study:
            parts.append(f"study {self.cell.study + 1}")
        return f"{', '.join(parts)}: " if parts else ""

    def base_lr(self, name: str, peak: float) -> float:
        """The base LR at which the entrant's highest LR is `peak`."""
        ratio = self.scale(name)[0]
        return peak if math.isclose(ratio, 1.0, rel_tol=1e-9) else tidy(peak / ratio)

    def scale(self, name: str) -> Sequence[float]:
        """The highest LR of a schedule over its base LR and, where a grid is centred by it, its
        `lr_factor`."""
        schedule, clock = self._stretched(name), self._clock(name)
        known = self.scales.get(self._scale_key(name))
        factor = peak_factor(schedule, *clock) if self.spec.auto and not known else 1.0
        return known or (schedule.peak(*clock), factor)

    def own_scales(self) -> Iterator[tuple[str, Sequence[float]]]:
        for name in self.entered:
            if any(call.is_plugin for call in self._parsed(name).all_calls()):
                for here in (self, *self._rungs()):
                    yield here._scale_key(name), here.scale(name)

    def _scale_key(self, name: str) -> str:
        steps, per_epoch = self._clock(name)
        return f"{self._stretched(name)}, {steps} steps, {per_epoch} an epoch"

    def tuned(self, name: str) -> bool:
        """Whether there is an LR to choose: not where the spec names one."""
        return self._parsed(name).fixed_lr is None

    def tuning(self, places: Sequence[int], histories: Histories) -> tuple[TrialSpec, ...]:
        """The trials that choose among the learning rates: none where there is no choice.

        With successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) only the best
        learning rates of a shorter training are trained for longer; what the next length needs is
        known when the one before is done. An extension of the grid is trained in full.
        """
        if len(places) < 2 and self.decay is None:
            return ()
        wanted: list[TrialSpec] = []
        left = {name: set(places) for name in self.entered if self.tuned(name)}
        for number, rung in enumerate(self._rungs(), 1):
            kept = {name: left[name] & {*self.places} for name in left}
            trials = rung.trials_at(kept)
            wanted += trials
            if missing(trials, histories):
                return tuple(wanted)
            count = max(1, len(self.places) // 2**number)
            for name, choice in rung.choices(self.places, trials, histories).items():
                best = sorted(choice.candidates, key=lambda each: -each.score)[:count]
                left[name] = {each.place for each in best} | {*places} - {*self.places}
        return (*wanted, *self.trials_at(left))

    def _rungs(self) -> list[CellPlan]:
        """The shorter trainings of successive halving: a quarter and half of the whole."""
        whole = self.cell.epochs
        lengths = sorted({max(1, whole // 4), max(1, whole // 2)} - {whole})
        cells = [
            self.cell.model_copy(update={"epochs": epochs, "stretch": epochs / self.spec.epochs})
            for epochs in (lengths if self.spec.halving else ())
        ]
        return [replace(self, cell=cell) for cell in cells]

    def trials_at(self, places: Mapping[str, Collection[int]]) -> list[TrialSpec]:
        """Tuning trials at each entrant's places, seed by seed."""
        grids = {name: self.grid(name, sorted(those)) for name, those in places.items()}
        return [
            self.trial(name, grids[name][place], seed, "tune")
            for seed in self.spec.all_tuning_seeds(self.cell.study)
            for place in sorted({place for grid in grids.values() for place in grid})
            for name in grids
            if place in grids[name]
        ]

    def choices(
        self, places: Sequence[int], trials: Iterable[TrialSpec], histories: Histories
    ) -> dict[str, Choice]:
        """Which LR each tuned entrant takes, and why. The schedules of one recipe are judged
        together."""
        mine = [trial for trial in trials if trial.epochs == self.cell.epochs]
        nothing = chance(self.spec.metric, (histories[trial.id] for trial in mine))
        tried = {trial.name: self.grid(trial.name, places) for trial in mine}
        rows = []
        for trial in mine:
            place = next(p for p, lr in tried[trial.name].items() if lr == trial.lr)
            value, loss = reached(self.spec.metric, histories[trial.id]) or (None, None)
            rows.append(Tuned(trial.name, place, trial.lr, trial.seed, value, loss))
        found: dict[str, Choice] = {}
        for names in self._by_recipe(tried):
            found |= choose([row for row in rows if row.schedule in names], nothing)
        edges = {name: self._edge(name, found[name].place, places) for name in tried}
        return {name: replace(found[name], edge=edge) for name, edge in edges.items()}

    def best_decays(self, tables: Sequence[Mapping[str, Choice]]) -> dict[str, int]:
        """The number of the weight decay whose LR each tuned entrant takes, those of one recipe
        together."""
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
        """No edge where the next larger LR is above the limit."""
        grid = self.grid(name, places)
        if place == min(grid):
            return "low"
        goes_on = name not in self.middles or self.grid(name, (place + 1,))
        return "high" if place == max(grid) and goes_on else ""

    def chosen(self, name: str, choices: Mapping[str, Choice]) -> float:
        """The LR of an entrant's final trials: the one that tuning chose, or that has no rival."""
        if name in choices:
            return choices[name].lr
        return self._parsed(name).fixed_lr or self.grid(name, self.places)[0]
