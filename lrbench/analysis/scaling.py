"""How the best LR moves with the length of training or the batch size: a power law.

At each size a parabola in log LR, through the best validation score and its neighbours, has its
vertex at the optimum. The exponent is the slope of a weighted line through the optima in log-log
space (Bjorck et al. 2024, arXiv:2409.19913, for the length). An optimum on the edge of its grid is
only a bound, which the line ignores.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pandas import DataFrame
from scipy.special import ndtri, stdtrit

from lrbench.analysis.corrections import Floats
from lrbench.analysis.names import short
from lrbench.analysis.question import Question
from lrbench.analysis.standing import at_final_decay, in_cell
from lrbench.analysis.tidy import SCHEDULE, Column, frame
from lrbench.analysis.words import listed

Over = Literal["epochs", "batch size"]
OVER: tuple[Over, ...] = ("epochs", "batch size")

LEAST = 3
"""Two optima always lie on a line, so three are needed."""
NEAR = 2
"""LRs on either side of the best from which the noise is estimated."""
READ_OFF = 0.1
"""Smallest error of an optimum, in grid steps: a curve is not quite a parabola."""
DRAWS = 200
SURE = 0.9
"""An optimum counts if it stays inside the grid in this share of the draws."""
WIDEST = 30.0
"""Intervals of the LR whose ends have a larger ratio are not printed."""
RULES = {"square-root rule": 0.5, "linear rule": 1.0}
"""For the batch size: Krizhevsky 2014, arXiv:1404.5997; Goyal et al. 2017, arXiv:1706.02677."""


@dataclass(frozen=True)
class Optimum:
    """The best LR at one size. `error` is the standard error of its natural logarithm. If it is
    NaN, `why` gives the reason, and the LR is the best of those tried."""

    size: int
    lr: float
    error: float = math.nan
    why: str = ""


def optimum(size: int, lrs: Floats, scores: Floats) -> Optimum:
    """The optimum of a grid of increasing LRs. `scores` are LRs x seeds, higher is better; NaN
    marks a training that failed or collapsed.

    Its error is the spread of the vertex when the means are redrawn with the noise of the seeds,
    excluding what a seed changes at all LRs. Next to an LR that did not train, the optimum is only
    known to within a grid step. If noise may push it to an edge, it is not an optimum.
    """
    rising, means = np.log(lrs), scores.mean(axis=1)
    if np.isnan(means).all():
        return Optimum(size, math.nan, why="nothing trained")
    best = int(np.nanargmax(means))
    lr = float(lrs[best])
    if best in (0, len(lrs) - 1):
        side = "above the highest" if best else "below the lowest"
        return Optimum(size, lr, why=f"{side} LR tried")
    if scores.shape[1] < 2:
        return Optimum(size, lr, why="only one tuning seed")
    error, freedom = _noise(scores[max(0, best - NEAR) : best + NEAR + 1])
    rng = np.random.default_rng(0)
    drawn = means[:, None] + error * rng.standard_t(freedom, size=(len(lrs), DRAWS))
    at = np.nanargmax(drawn, axis=0)
    if np.mean((at > 0) & (at < len(lrs) - 1)) < SURE:
        return Optimum(size, lr, why="no peak above the noise")
    (vertex,), vertices = _vertices(rising, means[:, None]), _vertices(rising, drawn)
    step = (rising[best + 1] - rising[best - 1]) / 2
    beside_cliff = bool(np.isnan(means[best - 1 : best + 2]).any())
    least = step / math.sqrt(3) if beside_cliff else READ_OFF * step  # uniform over ± one step
    return Optimum(size, math.exp(vertex), math.hypot(float(vertices.std()), least))


def _noise(scores: Floats) -> tuple[float, int]:
    """The standard error of a mean over the seeds, from the LR x seed interaction of the LRs that
    trained, and its degrees of freedom."""
    scores = scores[~np.isnan(scores).any(axis=1)]
    rows, seeds = scores.shape
    rest = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    freedom = max(1, rows - 1) * (seeds - 1)
    return float(np.sqrt((rest**2).sum() / freedom / seeds)), freedom


def _vertices(rising: Floats, drawn: Floats) -> Floats:
    """For each column of means, the vertex of the parabola through the best and its neighbours; the
    best itself if a neighbour is missing."""
    best = np.nanargmax(drawn, axis=0)
    found = rising[best]
    for place in np.unique(best[(best > 0) & (best < len(rising) - 1)]):
        near, mine = slice(place - 1, place + 2), best == place
        sides = np.vander(rising[near] - rising[place], 3)
        curve, slope, _ = np.linalg.solve(sides, drawn[near][:, mine])
        with np.errstate(invalid="ignore"):  # where three means are equal
            found[mine] += np.nan_to_num(-slope / (2 * curve))
    return np.asarray(found)


@dataclass(frozen=True, eq=False)
class Line:
    """ln LR = constant + exponent · ln size. `covariance` is that of constant and exponent, from
    the errors of the optima; half an interval is `times` a standard error."""

    constant: float
    exponent: float
    covariance: Floats
    times: float

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the exponent."""
        half = self.times * math.sqrt(self.covariance[1, 1])
        return self.exponent - half, self.exponent + half

    def at(self, size: float) -> tuple[float, float, float]:
        """The best LR at a size, and the ends of its interval."""
        x = np.array([1.0, math.log(size)])
        middle = self.constant + self.exponent * x[1]
        half = self.times * math.sqrt(x @ self.covariance @ x)
        lr, low, high = np.exp([middle, middle - half, min(middle + half, 700.0)]).tolist()
        return lr, low, high


def line_through(optima: Sequence[Optimum], confidence: float = 0.95) -> Line:
    """Weighted least squares through three or more optima. The interval is the wider of two: the
    normal interval from the errors of the optima, and the t interval from the scatter about the
    line, whose degrees of freedom are the optima minus two: with three optima it is wide."""
    x = np.array([[1.0, math.log(each.size)] for each in optima])
    y = np.array([math.log(each.lr) for each in optima])
    weights = np.array([each.error for each in optima]) ** -2
    covariance = np.linalg.inv(x.T @ (weights[:, None] * x))
    constant, exponent = covariance @ (x.T @ (weights * y))
    freedom = len(optima) - 2
    scatter = float(weights @ (y - constant - exponent * x[:, 1]) ** 2) / freedom
    tail = (1 + confidence) / 2
    times = max(float(ndtri(tail)), math.sqrt(scatter) * float(stdtrit(freedom, tail)))
    return Line(float(constant), float(exponent), covariance, times)


@dataclass(frozen=True, eq=False)
class Law:
    """How one schedule's best LR moves with one size; the other size is fixed at the largest number
    of epochs, or the smallest batch. Without a `line`, `why` gives the reason. `aim` is the size
    for which a prediction was requested."""

    schedule: str
    over: Over
    budget: int
    batch_size: int
    optima: tuple[Optimum, ...] = ()
    line: Line | None = None
    why: str = ""
    aim: int | None = None

    @property
    def rules(self) -> dict[str, bool]:
        """The rules of thumb for the batch size that the interval does not exclude."""
        if self.line is None or self.over == "epochs":
            return {}
        low, high = self.line.interval
        return {name: low <= power <= high for name, power in RULES.items()}


def laws_of(trials: DataFrame, question: Question) -> tuple[Law, ...]:
    """The laws over each size with several values, from the tuning trials of the first study."""
    cells = sorted({(budget, batch) for _, budget, batch in question.choices})
    budget = max((budget for budget, _ in cells), default=0)
    batch = min((batch for _, batch in cells), default=0)
    sizes: dict[Over, list[tuple[int, int]]] = {
        "epochs": [cell for cell in cells if cell[1] == batch],
        "batch size": [cell for cell in cells if cell[0] == budget],
    }
    names = trials.loc[trials["stage"] == "tune", "schedule"].unique()
    return tuple(
        _law(trials, question, Law(name, over, budget, batch, aim=_aim(question, over)), along)
        for over, along in sizes.items()
        for name in names
        if len(along) > 1
    )


def _aim(question: Question, over: Over) -> int | None:
    return question.aim[1] if question.aim and question.aim[0] == over else None


def _law(trials: DataFrame, question: Question, law: Law, along: Sequence[tuple[int, int]]) -> Law:
    """The law with its optima, at these budgets and batch sizes."""
    optima = tuple(
        _optimum_of(trials, question, (law.schedule, *cell), cell[OVER.index(law.over)])
        for cell in along
        if (law.schedule, *cell) in question.choices
    )
    known = [each for each in optima if not each.why]
    if len(known) >= LEAST:
        return replace(law, optima=optima, line=line_through(known, question.confidence))
    reasons: dict[str, list[str]] = {}
    for each in optima:
        if each.why:
            reasons.setdefault(each.why, []).append(str(each.size))
    parts = [f"{why} at {law.over} {', '.join(sizes)}" for why, sizes in reasons.items()]
    why = "; ".join([f"{len(known)} of the {LEAST} optima needed", *parts])
    return replace(law, optima=optima, why=why)


def _optimum_of(
    trials: DataFrame, question: Question, key: tuple[str, int, int], size: int
) -> Optimum:
    """The optimum of the trials that chose an LR, scored as in tuning."""
    name, budget, batch = key
    here = trials[(trials["schedule"] == name) & in_cell(trials, budget, batch)]
    tuned, finals = (here[here["stage"] == stage] for stage in ("tune", "final"))
    mine = at_final_decay(tuned, finals)
    column = f"val_{question.metric.partition('_')[2]}"
    if column.endswith("loss") or mine[column].isna().all():
        scores = -mine["val_loss"]
    else:
        scores = mine[column]
    scores = scores.where(mine["status"] == "done")
    whole = mine.assign(score=scores)
    # before there are finals, the best of several weight decays
    table = whole.pivot_table("score", index="lr", columns="seed", aggfunc="max", dropna=False)
    collapsed = [each.lr for each in question.choices[key].candidates if each.collapsed]
    table.loc[table.index.isin(collapsed)] = np.nan
    return optimum(size, table.index.to_numpy(), table.to_numpy(dtype=float))


def law_lines(laws: Sequence[Law], names: Sequence[str], confidence: float) -> Iterator[str]:
    """A line for each of the named schedules, with its exponent and, if requested, the LR at
    another size; one line for all that have no exponent; none with fewer than three sizes."""
    spoken = [law for law in laws if law.schedule in names and len(law.optima) >= LEAST]
    spoken.sort(key=lambda law: names.index(law.schedule))
    for over in OVER:
        mine = [law for law in spoken if law.over == over]
        yield from (_text(law, law.line, f"{100 * confidence:g} %") for law in mine if law.line)
        if without := [law for law in mine if law.line is None]:
            whose = listed([short(law.schedule, 40) for law in without])
            why = without[0].why
            if len(without) > 1:
                why = f"fewer than {LEAST} optima each, and scaling.csv says why"
            yield f"How the best LR of {whose} moves with the {over} cannot be said: {why}."


def _text(law: Law, line: Line, sure: str) -> str:
    low, high = line.interval
    moves = "falls as" if high < 0 else "rises as" if low > 0 else "is not shown to move:"
    unit = "epochs" if law.over == "epochs" else "batch"
    power = f"{unit}^{line.exponent:.2f} ({sure}: {low:.2f} to {high:.2f})"
    verdicts = []
    for verb, held in (("leaves open", True), ("contradicts", False)):
        if names := [f"the {name}" for name, holds in law.rules.items() if holds == held]:
            verdicts.append(f"{verb} {listed(names)}")
    which = f", which {' and '.join(verdicts)}" if verdicts else ""
    text = f"The best LR of {short(law.schedule)} {moves} {power}{which}"
    if law.aim is None:
        return f"{text}."
    lr, low, high = line.at(law.aim)
    place = f"at {at_size(law.over, law.aim)}"
    if high > WIDEST * low:
        return f"{text}; {place} it is not known to within a factor of {WIDEST:.0f}."
    return f"{text}: {place} take {lr:.2g} ({low:.2g} to {high:.2g})."


def at_size(over: str, size: int) -> str:
    """
    >>> at_size("epochs", 16), at_size("batch size", 512)
    ('16 epochs', 'batch 512')
    """
    return f"{size} epochs" if over == "epochs" else f"batch {size}"


SCALING = (
    SCHEDULE,
    Column("over", "object", "epochs or batch size", title="over", several=True),
    Column("budget", "int64", "epochs; the largest if `over` is epochs"),
    Column("batch_size", "int64", "images in a batch; the smallest if `over` is batch size"),
    Column("optima", "object", "best LR at each size; in brackets if it is no optimum",
           title="best LR at each size", form="words"),
    Column("exponent", "float64", "of the power law: best LR ~ size^exponent", title="exponent",
           form=".2f"),
    Column("exponent_low", "float64", "low end of its interval", title="from", form=".2f"),
    Column("exponent_high", "float64", "high end of its interval", title="to", form=".2f"),
    Column("aim", "Int64", "size of --extrapolate"),
    Column("lr", "float64", "best LR there", title="LR there", form=".3g"),
    Column("lr_low", "float64", "low end of its interval"),
    Column("lr_high", "float64", "high end of its interval"),
    Column("why", "object", "why there is no exponent", title="why not", form="words"),
)  # fmt: skip


def scaling_frame(laws: Sequence[Law]) -> DataFrame:
    """One row per schedule, for each size that has several values."""
    return frame(map(_row, laws), SCALING)


def _row(law: Law) -> dict[str, Any]:
    line, unknown = law.line, (math.nan,) * 3
    power = (line.exponent, *line.interval) if line else unknown
    at_aim = line.at(law.aim) if line and law.aim else unknown
    optima = [f"[{o.size}: {o.lr:.3g}]" if o.why else f"{o.size}: {o.lr:.3g}" for o in law.optima]
    return {
        **vars(law),
        "optima": ", ".join(optima),
        **dict(zip(("exponent", "exponent_low", "exponent_high"), power, strict=True)),
        **dict(zip(("lr", "lr_low", "lr_high"), at_aim, strict=True)),
    }
