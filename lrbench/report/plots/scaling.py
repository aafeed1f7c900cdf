"""How the best LR moves with the length of training, or with the batch size."""

from collections.abc import Iterator

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.scaling import RULES, Law, Optimum
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, run_looks
from lrbench.report.style import INK, Look

FARTHEST = 10.0  # a band beyond says no more, and hides the optima


@PLOTS.register("scaling", "the best LR against the length of training, or the batch size")
def scaling_plot(summary: Summary) -> Chart | None:
    """Optima with their intervals, each schedule's power law with its band, a ring where the best
    LR lies on the edge of the grid; the rules of thumb of the batch size as thin lines."""
    panels = tuple(
        _panel(summary, [law for law in summary.laws if law.over == over])
        for over in dict.fromkeys(law.over for law in summary.laws)
    )
    if not panels:
        return None
    note = "a ring is no optimum, only the best of the LRs tried"
    if any(law.over == "batch size" for law in summary.laws):
        note += "; dashed the square-root rule, dotted the linear rule"
    return Chart("the best LR at each size", panels, (6.5 * len(panels), 4.8), note, every=True)


def _panel(summary: Summary, laws: list[Law]) -> Panel:
    sizes = sorted({each.size for law in laws for each in law.optima})
    lines = [line for law in laws for line in _lines(summary, law)]
    if laws[0].over == "batch size":
        lines += _rules(laws)
    aims = [law.aim for law in laws if law.aim]
    wide = any(_cut(law) for law in laws)
    cut = f", bands to a factor of {FARTHEST:g}" * wide
    return Panel(
        tuple(lines), laws[0].over, "learning rate",
        f"best LR, {100 * summary.question.confidence:g} % intervals{cut}", x_scale="log2",
        y_scale="log", labelled=False, legend=True, x_ticks=tuple(sorted({*sizes, *aims})),
    )  # fmt: skip


def _lines(summary: Summary, law: Law) -> Iterator[Line]:
    look = run_looks(summary)[law.schedule]
    known = [each for each in law.optima if not each.why]
    if known:
        yield _points(law, known, look)
    bounds = [each for each in law.optima if each.why and np.isfinite(each.lr)]
    if bounds:
        texts = [f"{law.schedule}, {each.size}: {each.why}" for each in bounds]
        x, y = (floats([getattr(each, name) for each in bounds]) for name in ("size", "lr"))
        yield Line("", look, x, y, "ring", texts=texts)
    if law.line is not None:
        x = np.geomspace(*_ends(law), 30)
        y, low, high = floats([law.line.at(size) for size in x]).T
        bare = Look(look.colour, look.dash, "", look.place)
        low, high = np.maximum(low, y / FARTHEST), np.minimum(high, FARTHEST * y)
        yield Line(law.schedule, bare, x, y, "line", low, high)


def _ends(law: Law) -> tuple[int, int]:
    """The sizes between which a law is drawn."""
    sizes = [each.size for each in law.optima] + ([law.aim] if law.aim else [])
    return min(sizes), max(sizes)


def _cut(law: Law) -> bool:
    """Whether its band goes farther than is drawn."""
    if law.line is None:
        return False
    middle, _, high = zip(*map(law.line.at, _ends(law)), strict=True)
    return bool((floats(high) > FARTHEST * floats(middle)).any())


def _points(law: Law, known: list[Optimum], look: Look) -> Line:
    x, y = floats([each.size for each in known]), floats([each.lr for each in known])
    half = np.exp(1.96 * floats([each.error for each in known]))
    texts = [
        f"{law.schedule}, {each.size}: LR {each.lr:.3g} ({low:.2g} to {high:.2g})"
        for each, low, high in zip(known, y / half, y * half, strict=True)
    ]
    apart = Look(look.colour, "", look.marker, look.place)
    return Line("" if law.line else law.schedule, apart, x, y, "bars", y / half, y * half, texts)


def _rules(laws: list[Law]) -> Iterator[Line]:
    """Through the median LR at the smallest batch."""
    first = min(each.size for law in laws for each in law.optima)
    lrs = [each.lr for law in laws for each in law.optima if each.size == first]
    last = max(each.size for law in laws for each in law.optima)
    x = floats([first, last])
    for dash, (name, power) in zip(("--", ":"), RULES.items(), strict=True):
        y = np.nanmedian(lrs) * (x / first) ** power
        yield Line(name, Look(INK, dash, ""), x, y, "thin")
