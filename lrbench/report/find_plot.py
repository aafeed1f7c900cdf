"""The plots of a range test: its sweep, and its answers against batch size and momentum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from lrbench.analysis.amounts import loss_text
from lrbench.report.plots.chart import Chart, Kind, Line, Panel, floats
from lrbench.report.style import DASHES, INK, MARKERS, PALETTE, Look
from lrbench.report.table import number
from lrbench.report.text import clean, subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrbench.rangetest.result import CurvePoint, FindResult

CURVE, PROBE, ANSWER, SWEEP, LIMIT = PALETTE[0], PALETTE[3], PALETTE[2], PALETTE[6], PALETTE[1]
SIZE = (8.0, 5.2)
ROOM_ABOVE = 0.45  # of the fall, above the start: losses that blow up are cut off
ROOM_BELOW = 0.1
ROOM_BESIDE = 5.0  # factor beyond the lowest and highest LR of interest
RULES = {"lr_sqrt_rule": "square-root rule", "lr_linear_rule": "linear rule"}
PANEL = (5.2, 4.6)


def draw(result: FindResult, ax: Axes | None = None) -> Axes:
    """Draw the sweep on the given axes, or on new pyplot axes."""
    from lrbench.report.plots.draw import draw_alone

    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=SIZE, layout="constrained").add_subplot()
    draw_alone(ax, replace(sweep_chart(result).panels[0], title=heading(result)))
    return ax


def find_charts(result: FindResult) -> dict[str, Chart]:
    """The charts of the result by file name."""
    charts = {"find": sweep_chart(result)}
    return charts | ({"find-table": against_chart(result.table)} if result.table else {})


def sweep_chart(result: FindResult) -> Chart:
    """The sweeps with the answer and, below them on the same LR axis, the short trainings."""
    loss = "validation loss" if result.settings.get("val_loss") else "training loss"
    if result.settings.get("others_train"):
        loss += " without the effect of other groups"
    lrs = [point.lr for point in result.curve]
    shown = _shown_lrs(result)
    swept = f" (swept from {min(lrs):.2g} to {max(lrs):.2g})" if lrs else ""
    if shown and (shown[0] > min(lrs) or shown[1] < max(lrs)):
        swept = swept.replace("(", "(part shown; ")
    sweep = Panel(
        (*_curves(result), *_answers(result)), f"learning rate{swept}", loss, "loss in the sweep",
        x_scale="log", x_limits=shown, y_limits=_loss_limits(result), labelled=False,
        legend=True,
    )  # fmt: skip
    panels = [sweep, *_trainings(result, sweep)]
    parts: dict[str, int] = {}  # a page toggles all lines of one name together
    numbered = [
        replace(panel, lines=tuple(
            replace(line, look=replace(line.look, place=parts.setdefault(line.name, len(parts))))
            for line in panel.lines
        ))
        for panel in panels
    ]  # fmt: skip
    width, height = SIZE
    return Chart(
        f"{loss} against the learning rate", tuple(numbered),
        (width, height + 1.8 * (len(panels) - 1)), ratios=(3, 2)[: len(panels)], share=True,
        stacked=True,
    )  # fmt: skip


def heading(result: FindResult) -> str:
    """What was trained, and the answer."""
    answer = "no learning rate can be defended" if result.lr is None else f"lr {result.lr:.2g}"
    doubt = f"\n{clean(result.reasons[0])}" if result.reasons else ""
    return f"{trained(result)}: {answer}, grade {result.grade}{doubt}".removeprefix(": ")


def trained(result: FindResult) -> str:
    """What was trained: `mnist5k · lenet · sgd`."""
    recipe = result.settings.get("recipe") or {}
    return subject(recipe if recipe.get("optimizer") else result.settings)


def _shown_lrs(result: FindResult) -> tuple[float, float] | None:
    """Limits of the LR axis, around everything marked and tried; None shows the whole sweep."""
    lrs = [point.lr for point in result.curve]
    tried = [lr for lr, _ in (result.verification or {}).get("losses", ())]
    marks = _known((*(result.lr_range or ()), result.lr, result.max_stable_lr, *tried))
    if result.lr is None or not lrs:
        return None
    low, high = min(marks), max(marks)
    return min(low, max(min(lrs), low / ROOM_BESIDE)), max(high, min(max(lrs), high * ROOM_BESIDE))


def _look(colour: str, dash: object = "-") -> Look:
    return Look(colour, dash, "")


def _curves(result: FindResult) -> Iterator[Line]:
    """Raw losses as dots and smoothed ones as lines, one line per seed."""
    curves = by_seed(result.curve)
    name = f"smoothed, {len(curves)} seed{'s' * (len(curves) > 1)}"
    for points in curves:
        x, raw, smoothed = np.array([(p.lr, p.loss, p.smoothed) for p in points], dtype=float).T
        texts = [
            f"seed {p.seed}, LR {p.lr:.3g}: loss {number(p.loss)}, smoothed {number(p.smoothed)}"
            for p in points
        ]
        yield Line("loss in the sweep", _look(CURVE), x, raw, "dots")
        yield Line(name, _look(CURVE), x, smoothed, "curve", texts=texts)


def _answers(result: FindResult) -> Iterator[Line]:
    none = floats([])
    if result.lr_range is not None:
        low, high = result.lr_range
        label = f"loss falls, {low:.2g} to {high:.2g}"
        yield Line(label, _look(ANSWER), floats(result.lr_range), none, "strip")
    if result.band is not None:
        yield Line("10–90 % of the seeds", _look(SWEEP), floats(result.band), none, "span")
    alone = None if result.lr_sweep == result.lr else result.lr_sweep
    for name, lr, look in (
        ("the sweep alone", alone, _look(SWEEP, ":")),
        ("answer", result.lr, _look(ANSWER)),
        ("largest stable", result.max_stable_lr, _look(LIMIT, "--")),
    ):
        if lr is not None:
            yield Line(name, look, floats([lr]), none, "upright", texts=(f"{lr:.2g}",))


def _trainings(result: FindResult, sweep: Panel) -> Iterator[Panel]:
    """The losses of the short trainings; a diverged one is a cross at the upper edge."""
    checked = result.verification
    if checked is None:
        return
    known = [(lr, loss) for lr, loss in checked["losses"] if loss is not None]
    lost = [lr for lr, loss in checked["losses"] if loss is None]
    kind = "base" if result.aim else "constant"
    texts = [f"trained at {kind} LR {lr:.3g}: loss {loss_text(loss)}" for lr, loss in known]
    x, y = (floats([pair[i] for pair in known]) for i in (0, 1))
    lines = [Line("short trainings", _look(PROBE), x, y, "probe", texts=texts)]
    if lost:
        lines.append(Line("diverged", _look(PROBE), floats(lost), floats([]), "top cross"))
    lines += [line for line in sweep.lines if line.name == "answer"]
    yield replace(
        sweep, lines=tuple(lines), y_label=f"{checked['data']} loss + ½ sd", y_limits=None,
        title=f"after {checked['steps']} steps {_under(result)}",
    )  # fmt: skip


def _under(result: FindResult) -> str:
    if result.aim is None:
        return "at a constant learning rate"
    longer = result.aim["steps"] > result.aim["tried_steps"]
    whole = f"; the answer is for {result.aim['steps']:,}" if longer else ""
    return f"under {result.aim['schedule']}{whole}"


def _loss_limits(result: FindResult) -> tuple[float, float]:
    """From the lowest loss to a little above the start."""
    kept = [point for point in result.curve if point.smoothed is not None]
    shown = _known([*(p.smoothed for p in kept), *(p.loss for p in kept)])
    starts = _known(points[0].loss for points in by_seed(result.curve)) or shown
    if not starts:
        return 0.0, 1.0
    low, start = min([*shown, *starts]), float(np.median(starts))
    height = max(start - low, 1e-3 * abs(start), 1e-9)
    return low - ROOM_BELOW * height, start + ROOM_ABOVE * height


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def by_seed(curve: Iterable[CurvePoint]) -> list[list[CurvePoint]]:
    return [list(points) for _, points in groupby(curve, lambda point: point.seed)]


Rows = Sequence[Mapping[str, Any]]


def against_chart(rows: Rows) -> Chart:
    """Answer and largest stable LR, with a panel each for batch size and momentum if they vary."""
    names = [name for name in ("batch_size", "momentum") if len(_values(rows, name)) > 1]
    panels = tuple(_against(rows, name) for name in names or ["batch_size"])
    return Chart("against batch size and momentum", panels, (PANEL[0] * len(panels), PANEL[1]))


def _values(rows: Rows, name: str) -> list[float]:
    return sorted({row[name] for row in rows})


def _against(rows: Rows, across: str) -> Panel:
    is_batch, name = across == "batch_size", across.replace("_", " ")
    apart, words = ("momentum", "momentum {:g}") if is_batch else ("batch_size", "batch {:g}")
    lines = [*_table_lines(rows, across, apart, words), *(_rule_lines(rows) if is_batch else ())]
    return Panel(
        tuple(lines), name, "learning rate", f"against {name}",
        x_scale="log2" if is_batch else "linear", y_scale="log",
        x_ticks=tuple(_values(rows, across)), labelled=False, legend=True,
    )  # fmt: skip


def _rule_lines(rows: Rows) -> Iterator[Line]:
    """The answer scaled with the batch size, by two rules of thumb."""
    for momentum in _values(rows, "momentum"):
        part = [row for row in rows if row["momentum"] == momentum]
        for dash, (rule, name) in zip(DASHES[1:], RULES.items(), strict=True):
            label = name if momentum == rows[0]["momentum"] else ""
            yield _table_line(label, part, "batch_size", rule, Look(INK, dash, ""), "thin")


def _table_lines(rows: Rows, across: str, apart: str, words: str) -> Iterator[Line]:
    """A line of answers and one of largest stable LRs for each value of `apart`."""
    values = _values(rows, apart)
    for marker, value in zip(cycle(MARKERS), values, strict=False):
        part = [row for row in rows if row[apart] == value]
        also = f", {words.format(value)}" if len(values) > 1 else ""
        for column, colour, name in (
            ("lr", ANSWER, f"answer{also}"),
            ("max_stable_lr", LIMIT, f"largest stable{also}"),
        ):
            line = _table_line(name, part, across, column, Look(colour, "-", marker), "line")
            if len(line.x):
                yield line


def _table_line(name: str, rows: Rows, across: str, column: str, look: Look, kind: Kind) -> Line:
    """The rows that have a number in the column, as points sorted by x."""
    pairs = sorted((row[across], row[column]) for row in rows if row[column] is not None)
    x, y = (floats([pair[i] for pair in pairs]) for i in (0, 1))
    return Line(name, look, x, y, kind)
