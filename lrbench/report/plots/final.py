"""The ranking as a plot: each seed, the mean with its interval, the difference from the best."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.corrections import Floats
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import Standing
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, metric_axis, run_looks
from lrbench.report.style import INK, Look
from lrbench.report.table import difference, records, value


@PLOTS.register("final", "the ranking: seeds, means, differences from the best", page=False)
def final_plot(summary: Summary) -> Chart | None:
    """Left: the metric, with its value and LR. Right: the paired difference from the best."""
    standing = summary.first
    if standing is None or standing.best is None:
        return None
    rows, several = records(standing.part(summary.ranking)), len(standing.names) > 1
    behind = (difference(row["diff_to_best"], row, standing.metric) for row in rows[1:])
    panels = (
        _panel(
            standing, _values(summary, standing, rows), "%", "mean and interval; a dot is a seed",
            [_remark(row, standing.metric) for row in rows],
        ),
        _panel(
            standing, _differences(summary, standing), "points", "paired difference from the best",
            ["best", *behind],
        ),
    )[: 1 + several]  # fmt: skip
    each = "(of differences: for all pairs together)" if several else "each"
    note = f"intervals: {100 * standing.confidence:g} % {each}"
    size = (11, 1.9 + 0.4 * len(standing.names))
    ratios = (3, 2)[: len(panels)]
    return Chart("ranking", panels, size, note, note, ratios=ratios, share=True)


def _panel(
    standing: Standing, lines: Iterator[Line], unit: str, title: str, remarks: Sequence[str]
) -> Panel:
    label, scale = metric_axis(standing.metric, unit)
    return Panel(
        tuple(lines), label, title=title, x_scale=scale, labelled=False, rows=standing.names,
        remarks=tuple(remarks),
    )  # fmt: skip


def _remark(row: Mapping[str, Any], metric: str) -> str:
    mean = value(row["metric_mean"], metric)
    lost = int(row["failed"] + row["collapsed"])
    return f"{mean}, LR {row['lr']:.3g}" + (f", {lost} lost" if lost else "")


def _values(summary: Summary, standing: Standing, rows: list[dict[str, Any]]) -> Iterator[Line]:
    styles, accuracy = run_looks(summary), is_accuracy(standing.metric)
    for place, row in enumerate(rows):
        name, look, seeds = row["schedule"], styles[row["schedule"]], standing.values[:, place]
        ends = floats([row["ci_low"], row["ci_high"]])
        said = ", ".join(value(seed, standing.metric) for seed in seeds)
        yield Line(name, look, seeds, np.full(len(seeds), place + 0.24), "seeds")
        yield Line("", look, ends.clip(0, 1) if accuracy else ends, _at(place, 2), "interval")
        text = f"{name}: seeds {said}"
        yield Line("", look, floats([row["metric_mean"]]), _at(place), "mean", texts=(text,))


def _differences(summary: Summary, standing: Standing) -> Iterator[Line]:
    styles, mean = run_looks(summary), standing.verdicts.pairs.mean
    ends = standing.verdicts.intervals
    yield Line("", Look(INK, "-", ""), floats([0]), floats([]), "upright")
    for place, name in enumerate(standing.names[1:], 1):
        interval = floats([ends.low[place, 0], ends.high[place, 0]])
        yield Line("", styles[name], interval, _at(place, 2), "interval")
        yield Line("", styles[name], mean[place, :1], _at(place), "mean")


def _at(place: int, points: int = 1) -> Floats:
    return np.full(points, float(place))
