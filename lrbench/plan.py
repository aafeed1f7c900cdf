"""The next trials, from what is asked and what is known. Pure: resuming is the same call again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Literal, get_args

from lrbench.errors import NoLearningRate, Notice, Topic
from lrbench.experiment import Cell, CompareSpec, Contender, FindSpec, TrialSpec
from lrbench.records import History
from lrbench.schedules import parse, stretched

MAX_EXTENSIONS = 2
Stage = Literal["find", "tune", "final", "done"]
StepsPerEpoch = Mapping[int, int]
"""Optimizer steps in an epoch, by batch size."""


@dataclass(frozen=True)
class Plan:
    """What to do next, and what is settled by now.

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
        _cell_plan(_Bench(spec, cell, steps_per_epoch[cell.recipe.batch_size]), histories, finds)
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


def _cell_plan(
    bench: _Bench, histories: Mapping[str, History], finds: Mapping[str, Mapping[str, Any]]
) -> Plan:
    spec = bench.spec
    missing_find = next((test for test in bench.range_tests() if test.id not in finds), None)
    if missing_find is not None:
        return Plan("find", find=missing_find)
    scale = spec.lr_scale(bench.cell.recipe)
    grid = first_grid(spec, finds.get(spec.range_test(bench.cell.recipe).id), scale)
    centre = grid[len(grid) // 2] / scale
    bench = replace(bench, centre=centre, centres=bench.contender_centres(finds))
    for extensions in range(MAX_EXTENSIONS + 1):
        tuning = bench.tuning(grid)
        missing = _missing(tuning, histories)
        if missing:
            return Plan("tune", trials=missing, grid=grid, tuning=tuning)
        chosen = {name: bench.choose(name, grid, histories) for name in spec.entrants}
        wider = _extended(bench, grid, chosen)
        if wider == grid or not spec.auto or extensions == MAX_EXTENSIONS:
            break
        grid = wider

    finals = tuple(
        bench.trial(name, chosen[name], seed, "final")
        for seed in spec.final_seeds
        for name in spec.entrants
    )
    left = _missing(finals, histories)
    notices = tuple(_edge_notices(bench, grid, chosen))
    return Plan("final" if left else "done", None, left, grid, chosen, tuning, finals, notices)


def first_grid(
    spec: CompareSpec, answer: Mapping[str, Any] | None, scale: float = 1.0
) -> tuple[float, ...]:
    """The learning rates to begin with, those that were named times `scale`; empty while the
    range test has yet to answer."""
    if not spec.auto:
        return spec.lrs if scale == 1 else tuple(tidy(lr * scale) for lr in spec.lrs)
    if answer is None:
        return ()
    return log_grid(_defended(answer), spec.lr_points, spec.lr_factor)


def log_grid(centre: float, points: int, factor: float) -> tuple[float, ...]:
    """`points` learning rates, each `factor` times the one before, around the centre.

    >>> log_grid(0.1, 3, 2)
    (0.05, 0.1, 0.2)
    """
    first = -(points // 2)
    return tuple(tidy(centre * factor**power) for power in range(first, first + points))


def tidy(value: float, digits: int = 12) -> float:
    """The value without the last bits that multiplying left behind."""
    return float(f"{value:.{digits}g}")


@dataclass(frozen=True)
class _Bench:
    """What all trials of a cell share. The schedules' grid has its `centre`, at which absolute LRs
    of parameter groups hold: like them one before any scaling by the batch. The contenders' grids
    lie around `centres`."""

    spec: CompareSpec
    cell: Cell
    steps_per_epoch: int
    centre: float = 1.0
    centres: Mapping[str, float] = field(default_factory=dict)

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
            return each.lr or _defended(finds[test.id])

        return {each.optimizer: centre(each) for each in self.spec.contenders}

    def trial(self, name: str, lr: float, seed: int, stage: Literal["tune", "final"]) -> TrialSpec:
        for each in self.spec.contenders:
            if each.optimizer == name:
                return TrialSpec(
                    recipe=each.recipe(self.cell.recipe),
                    schedule="constant",
                    lr=lr,
                    seed=seed,
                    stage=stage,
                    epochs=self.cell.epochs,
                    lr_reference=self.centres[name] if self.cell.recipe.groups else None,
                    contender=True,
                )
        return self._scheduled(name, lr, seed, stage)

    def _scheduled(
        self, schedule: str, lr: float, seed: int, stage: Literal["tune", "final"]
    ) -> TrialSpec:
        recipe, share = self.cell.recipe, self.cell.stretch
        same = share is None or stretched(parse(schedule), share) == parse(schedule)
        return TrialSpec(
            recipe=recipe,
            schedule=schedule,
            lr=lr,
            seed=seed,
            stage=stage,
            epochs=self.cell.epochs,
            lr_reference=self.centre if recipe.groups else None,
            stretch=None if same and not recipe.groups else share,
        )

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
        if self.cell.stretch is not None:
            parsed = stretched(parsed, self.cell.stretch)
        ratio = parsed.peak(self.cell.epochs * self.steps_per_epoch, self.steps_per_epoch)
        return peak if math.isclose(ratio, 1.0, rel_tol=1e-9) else tidy(peak / ratio)

    def tuning(self, grid: Sequence[float]) -> tuple[TrialSpec, ...]:
        """The trials that choose among the learning rates: none where there is no choice."""
        if len(grid) < 2:
            return ()
        return tuple(
            self.trial(name, self.base_lr(name, peak), seed, "tune")
            for seed in self.spec.all_tuning_seeds
            for peak in grid
            for name in self.spec.entrants
            if self.tuned(name)
        )

    def tuned(self, name: str) -> bool:
        """Whether there is an LR to choose: not where the spec names one."""
        return name in self.centres or parse(name).fixed_lr is None

    def choose(self, name: str, grid: Sequence[float], histories: Mapping[str, History]) -> float:
        """The LR with the best last-epoch validation value of the metric, in the mean over the
        tuning seeds, ties by validation loss; one that failed with fewer of them goes before.
        Where no trial ended well, the smallest of the grid."""
        scores: dict[float, list[Score | None]] = {}
        for trial in self.tuning(grid):
            if trial.name == name:
                found = score(self.spec.metric, histories[trial.id])
                scores.setdefault(trial.lr, []).append(found)
        means = {lr: mean for lr, found in scores.items() if (mean := mean_score(found))}
        if not means:
            return self.base_lr(name, min(grid))
        return max(means, key=lambda lr: means[lr])

    def edge(self, name: str, grid: Sequence[float], lr: float) -> str:
        """`low` or `high` where the schedule's best LR lies on that edge of a tuned grid."""
        if len(grid) < 2 or not self.tuned(name):
            return ""
        sides = {"low": min(grid), "high": max(grid)}
        return next((s for s, end in sides.items() if lr == self.base_lr(name, end)), "")


Score = tuple[float, float]


def score(metric: str, history: History) -> Score | None:
    """How good a tuning trial was, higher is better; None for one that did not end well."""
    if history.end is None or history.end.status != "done" or not history.epochs:
        return None
    last = history.epochs[-1]
    loss = -last.val_loss if last.val_loss is not None else -math.inf
    if metric.endswith("accuracy") and last.val_accuracy is not None:
        return last.val_accuracy, loss
    return loss, 0.0


def mean_score(scores: Sequence[Score | None]) -> tuple[int, float, float] | None:
    """Minus the number of failed seeds, then the means over the others; None without any.

    >>> mean_score([(0.75, -1.0), (0.25, -2.0)]), mean_score([(1.0, 0.0), None]), mean_score([None])
    ((0, 0.5, -1.5), (-1, 1.0, 0.0), None)
    """
    good = [found for found in scores if found is not None]
    if not good:
        return None
    first, second = (math.fsum(column) / len(good) for column in zip(*good, strict=True))
    return len(good) - len(scores), first, second


def _extended(
    bench: _Bench, grid: tuple[float, ...], chosen: Mapping[str, float]
) -> tuple[float, ...]:
    """The grid with one more point beyond each edge on which some schedule's best lies."""
    edges = {bench.edge(schedule, grid, lr) for schedule, lr in chosen.items()}
    factor = bench.spec.lr_factor
    below = (tidy(min(grid) / factor),) if "low" in edges else ()
    above = (tidy(max(grid) * factor),) if "high" in edges else ()
    return (*below, *grid, *above)


def _edge_notices(
    bench: _Bench, grid: Sequence[float], chosen: Mapping[str, float]
) -> Iterator[Notice]:
    words = {"low": ("lowest", "below"), "high": ("highest", "above")}
    for side, (end, beyond) in words.items():
        names = [name for name in chosen if bench.edge(name, grid, chosen[name]) == side]
        if names:
            lrs = ", ".join(dict.fromkeys(f"{chosen[name]:g}" for name in names))
            yield Notice(
                Topic.EDGE_OF_GRID,
                f"{bench.where}the best LR of {', '.join(names)} is the {end} that was tried "
                f"({lrs})",
                f"the optimum may lie {beyond}: widen the grid with --lr",
            )


def _defended(answer: Mapping[str, Any]) -> float:
    """The range test's LR, to two digits: its third one would be a pretence."""
    lr = answer.get("lr")
    if lr is None:
        reasons = ", ".join(answer.get("reasons", ())) or "no reason given"
        raise NoLearningRate(
            f"the range test found no learning rate that it can defend ({reasons})",
            hint=advice(answer) + ", or look at the curve with lrbench find",
        )
    return tidy(float(lr), 2)


def advice(answer: Mapping[str, Any]) -> str:
    """Which `--lr` to try where the range test gave none, and why."""
    rules = [lr for lr in (answer.get("rules") or {}).values() if lr]
    guess = sorted(rules)[len(rules) // 2] if rules else 0.01
    why = "the middle of what its rules say" if rules else "a usual start"
    return f"try --lr {tidy(guess, 1):g} ({why})"


def _missing(
    wanted: Sequence[TrialSpec], histories: Mapping[str, History]
) -> tuple[TrialSpec, ...]:
    done = {key for key, history in histories.items() if history.end is not None}
    return tuple(trial for trial in wanted if trial.id not in done)
