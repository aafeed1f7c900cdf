"""How the best LR moves with the length of training or the batch size."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.scaling import RULES, Law, Optimum
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, run_looks
from lrbench.report.style import INK, Look

FARTHEST = 10.0


@PLOTS.register("scaling", "the best LR against the length of training, or the batch size")
def scaling_plot(summary: Summary) -> Chart | None:
    """Optima with their intervals, each schedule's power law with its band, and a ring where the
    best LR lies on the edge of the grid; rules of thumb for the batch size are thin lines."""
    panels = tuple(
        _panel(summary, [law for law in summary.laws if law.over == over])
        for over in dict.fromkeys(law.over for law in summary.laws)
    )
    if not panels:
        return None
    note = "a ring is not an optimum, only the best LR tried"
    if any(law.over == "batch size" for law in summary.laws):
        note += "; dashed: square-root rule, dotted: linear rule"
    return Chart("the best LR at each size", panels, (6.5 * len(panels), 4.8), note, every=True)


def _panel(summary: Summary, laws: list[Law]) -> Panel:
    optima = [each for law in laws for each in law.optima]
    aims = [law.aim for law in laws if law.aim]
    bands = [band for law in laws if (band := _band(summary, law))]
    wide = any((floats(band.high) > 0.99 * FARTHEST * band.y).any() for band in bands)
    lines = [*bands, *(line for law in laws for line in _points(summary, law))]
    if laws[0].over == "batch size":
        lines += _rules(optima)
    cut = f", bands cut at a factor of {FARTHEST:g}" * wide
    return Panel(
        tuple(lines), laws[0].over, "learning rate",
        f"best LR, {100 * summary.question.confidence:g} % intervals{cut}", "log2", "log",
        tuple(sorted({*(each.size for each in optima), *aims})), labelled=False, legend=True,
    )  # fmt: skip


def _band(summary: Summary, law: Law) -> Line | None:
    """The law with its interval, clipped at a factor so that it does not hide the optima."""
    if law.line is None:
        return None
    sizes = [each.size for each in law.optima] + ([law.aim] if law.aim else [])
    x = np.geomspace(min(sizes), max(sizes), 30)
    y, low, high = floats([law.line.at(size) for size in x]).T
    low, high = np.maximum(low, y / FARTHEST), np.minimum(high, FARTHEST * y)
    look = replace(run_looks(summary)[law.schedule], marker="")
    return Line(law.schedule, look, x, y, "line", low, high)


def _points(summary: Summary, law: Law) -> Iterator[Line]:
    """The optima with their intervals, and the bounds."""
    look = replace(run_looks(summary)[law.schedule], dash="")
    if known := [each for each in law.optima if not each.why]:
        x, y = floats([each.size for each in known]), floats([each.lr for each in known])
        half = np.exp(1.96 * floats([each.error for each in known]))
        texts = [
            f"{law.schedule}, {each.size}: LR {each.lr:.3g} ({low:.2g} to {high:.2g})"
            for each, low, high in zip(known, y / half, y * half, strict=True)
        ]
        name = "" if law.line else law.schedule
        yield Line(name, look, x, y, "bars", y / half, y * half, texts)
    if bounds := [each for each in law.optima if each.why and np.isfinite(each.lr)]:
        x, y = floats([each.size for each in bounds]), floats([each.lr for each in bounds])
        texts = [f"{law.schedule}, {each.size}: {each.why}" for each in bounds]
        yield Line("", look, x, y, "ring", texts=texts)


def _rules(optima: list[Optimum]) -> Iterator[Line]:
    """Rules of thumb, through the median LR at the smallest batch."""
    first, last = (end(each.size for each in optima) for end in (min, max))
    lr, x = np.nanmedian([each.lr for each in optima if each.size == first]), floats([first, last])
    for dash, (name, power) in zip(("--", ":"), RULES.items(), strict=True):
        yield Line(name, Look(INK, dash, ""), x, lr * (x / first) ** power, "thin")
