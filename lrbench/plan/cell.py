"""The trials of one cell of a comparison: one recipe and one budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lrbench.experiment import Cell, CompareSpec, Contender, FindSpec, TrialSpec
from lrbench.plan.grid import defended
from lrbench.plan.scores import means, missing
from lrbench.records import History
from lrbench.schedules import parse, stretched
from lrbench.schedules.units import tidy


@dataclass(frozen=True)
class CellPlan:
    """What all trials of a cell share. The schedules' grid has its `centre`, at which absolute LRs
    of parameter groups hold: one before any scaling by the batch. The contenders' grids lie around
    `centres`. `first` is the grid before it was extended."""

    spec: CompareSpec
    cell: Cell
    steps_per_epoch: int
    centre: float = 1.0
    centres: Mapping[str, float] = field(default_factory=dict)
    first: tuple[float, ...] = ()

    def range_tests(self) -> Iterator[FindSpec]:
        """Those that the grids are to be centred by."""
        if self.spec.auto:
            yield self.spec.range_test(self.cell.recipe)
        for each in self.spec.contenders:
            if each.lr is None:
                yield self.spec.range_test(each.recipe(self.cell.recipe))

    def contender_centres(self, finds: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        def centre(each: Contender) -> float:
            test = self.spec.range_test(each.recipe(self.cell.recipe))
            return each.lr or defended(finds[test.id])

        return {each.optimizer: centre(each) for each in self.spec.contenders}

    def trial(self, name: str, lr: float, seed: int, stage: Literal["tune", "final"]) -> TrialSpec:
        rival = next((each for each in self.spec.contenders if each.optimizer == name), None)
        recipe, schedule, centre = self.cell.recipe, name, self.centre
        if rival is not None:
            recipe, schedule, centre = rival.recipe(recipe), "constant", self.centres[name]
        return TrialSpec(
            recipe=recipe,
            schedule=schedule,
            lr=lr,
            seed=seed,
            stage=stage,
            epochs=self.cell.epochs,
            lr_reference=centre if recipe.groups else None,
            stretch=None if rival is not None else self._stretch(schedule),
            contender=rival is not None,
        )

    def _stretch(self, schedule: str) -> float | None:
        """The cell's share; None where it changes nothing, so that the trial is the ordinary one.
        The schedules of parameter groups are stretched as well."""
        parsed, share = parse(schedule), self.cell.stretch
        same = not self.cell.recipe.groups and stretched(parsed, share) == parsed
        return None if same else share

    @property
    def where(self) -> str:
        """Which of several cells, in words."""
        parts = []
        if self.spec.budgets:
            parts.append(f"epochs {self.cell.epochs}")
        if self.spec.batch_sizes:
            parts.append(f"batch {self.cell.recipe.batch_size}")
        return f"{', '.join(parts)}: " if parts else ""

    def base_lr(self, name: str, peak: float) -> float:
        """The base LR at which the schedule's highest LR is `peak`; its own where it names one. A
        contender's lies as far from its own centre as `peak` does from that of the schedules."""
        if name in self.centres:
            return tidy(peak * self.centres[name] / self.centre)
        parsed = parse(name)
        if parsed.fixed_lr is not None:
            return parsed.fixed_lr
        parsed = stretched(parsed, self.cell.stretch)
        ratio = parsed.peak(self.cell.epochs * self.steps_per_epoch, self.steps_per_epoch)
        return peak if math.isclose(ratio, 1.0, rel_tol=1e-9) else tidy(peak / ratio)

    def tuning(
        self, grid: Sequence[float], histories: Mapping[str, History]
    ) -> tuple[TrialSpec, ...]:
        """The trials that choose among the learning rates: none where there is no choice.

        With successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) only the best
        learning rates of a shorter training are trained for longer; what the next length needs is
        known when the one before is done. An extension of the grid is trained in full.
        """
        if len(grid) < 2:
            return ()
        wanted: list[TrialSpec] = []
        left = {name: tuple(grid) for name in self.spec.entrants if self.tuned(name)}
        for number, rung in enumerate(self._rungs(), 1):
            kept = {name: [peak for peak in left[name] if peak in self.first] for name in left}
            trials = rung.trials_at(kept)
            wanted += trials
            if missing(trials, histories):
                return tuple(wanted)
            count = max(1, len(self.first) // 2**number)
            for name in left:
                best = rung.best(name, kept[name], count, histories)
                left[name] = tuple(p for p in grid if p in best or p not in self.first)
        return (*wanted, *self.trials_at(left))

    def _rungs(self) -> list[CellPlan]:
        """The shorter trainings of successive halving: a quarter and half of the whole."""
        whole = self.cell.epochs
        lengths = sorted({max(1, whole // 4), max(1, whole // 2)} - {whole})
        cells = [
            Cell(recipe=self.cell.recipe, epochs=epochs, stretch=epochs / self.spec.epochs)
            for epochs in (lengths if self.spec.halving else ())
        ]
        return [replace(self, cell=cell) for cell in cells]

    def trials_at(self, peaks: Mapping[str, Sequence[float]]) -> list[TrialSpec]:
        """Tuning trials at each entrant's learning rates, seed by seed."""
        lrs = dict.fromkeys(peak for those in peaks.values() for peak in those)
        return [
            self.trial(name, self.base_lr(name, peak), seed, "tune")
            for seed in self.spec.all_tuning_seeds
            for peak in lrs
            for name in peaks
            if peak in peaks[name]
        ]

    def best(
        self, name: str, peaks: Sequence[float], count: int, histories: Mapping[str, History]
    ) -> set[float]:
        """The `count` best of a rung's learning rates."""
        scores = means(self.spec.metric, self.trials_at({name: peaks}), histories)
        worst = (-math.inf, 0.0, 0.0)
        order = sorted(peaks, key=lambda p: scores.get(self.base_lr(name, p), worst), reverse=True)
        return set(order[:count])

    def tuned(self, name: str) -> bool:
        """Whether there is an LR to choose: not where the spec names one."""
        return name in self.centres or parse(name).fixed_lr is None

    def choose(
        self, name: str, tuning: Sequence[TrialSpec], histories: Mapping[str, History]
    ) -> float:
        """The LR with the best last-epoch validation value of the metric, in the mean over the
        tuning seeds, ties by validation loss; one that failed with fewer of them goes before.
        Where no trial ended well, the smallest of the grid."""
        whole = [t for t in tuning if t.name == name and t.epochs == self.cell.epochs]
        scores = means(self.spec.metric, whole, histories)
        if not scores:
            return min((t.lr for t in whole), default=self.base_lr(name, min(self.first)))
        return max(scores, key=lambda lr: scores[lr])

    def edge(self, name: str, grid: Sequence[float], lr: float) -> str:
        """`low` or `high` where the schedule's best LR lies on that edge of a tuned grid."""
        if len(grid) < 2 or not self.tuned(name):
            return ""
        sides = {"low": min(grid), "high": max(grid)}
        return next((s for s, end in sides.items() if lr == self.base_lr(name, end)), "")
