"""The ranking drawn: every seed, the mean with its interval, and the difference to the best."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy, metric_words
from lrbench.analysis.standing import Standing, in_cell
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, run_looks
from lrbench.report.table import difference, records, value


@PLOTS.register("final", "the ranking: seeds, means, differences to the best", page=False)
def final_plot(summary: Summary) -> Chart | None:
    """Left the metric with its value and LR, right the paired difference to the best."""
    standing = summary.first
    if standing is None or standing.best is None:
        return None
    count, accuracy = len(standing.names), is_accuracy(standing.metric)
    metric = metric_words(standing.metric)
    rows = records(summary.ranking[in_cell(summary.ranking, standing.budget, standing.batch_size)])
    panels = [
        Panel(
            tuple(_values(summary, standing)),
            metric + (", %" if accuracy else ""),
            title="mean and interval; dots: each seed",
            rows=standing.names,
            remarks=tuple(_remark(row, standing.metric) for row in rows),
            labelled=False,
        )
    ]
    level = f"intervals: {100 * standing.confidence:g} %"
    footnote = f"{level} each"
    if count > 1:
        panels.append(
            Panel(
                tuple(_differences(summary, standing)),
                metric + (", points" if accuracy else ""),
                title="difference to the best, paired",
                rows=standing.names,
                remarks=("best", *(difference(row, "diff_to_best", standing.metric)
                                   for row in rows[1:])),
                labelled=False,
                zero_line=True,
            )
        )  # fmt: skip
        footnote = f"{level} (of differences: for all pairs together)"
    return Chart(
        "ranking", tuple(panels), (11, 1.9 + 0.4 * count), footnote, footnote,
        ratios=(3, 2)[: len(panels)], share=True,
    )  # fmt: skip


def _remark(row: Mapping[str, Any], metric: str) -> str:
    mean = value(row["metric_mean"], math.nan, metric)
    lost = int(row["failed"] + row["collapsed"])
    return f"{mean}, LR {row['lr']:.3g}" + (f", {lost} lost" if lost else "")


def _values(summary: Summary, standing: Standing) -> Iterator[Line]:
    accuracy = is_accuracy(standing.metric)
    scale, styles, rows = 100 if accuracy else 1, run_looks(summary), summary.ranking
    rows = rows[in_cell(rows, standing.budget, standing.batch_size)]
    columns = (rows["metric_mean"], rows["ci_low"], rows["ci_high"])
    for place, (mean, low, high) in enumerate(zip(*columns, strict=True)):
        name, look = standing.names[place], styles[standing.names[place]]
        seeds = scale * standing.values[:, place]
        ends = scale * np.clip([low, high], 0, 1) if accuracy else floats([low, high])
        yield Line(name, look, seeds, np.full(len(seeds), place + 0.24), "seeds")
        yield Line("", look, ends, floats([place, place]), "interval")
        said = [value(x, math.nan, standing.metric) for x in standing.values[:, place]]
        text = f"{name}: seeds {', '.join(said)}"
        yield Line("", look, floats([scale * mean]), floats([place]), "mean", texts=(text,))


def _differences(summary: Summary, standing: Standing) -> Iterator[Line]:
    scale, styles = 100 if is_accuracy(standing.metric) else 1, run_looks(summary)
    mean, ends = standing.verdicts.pairs.mean, standing.verdicts.intervals
    for place, name in enumerate(standing.names[1:], 1):
        look, at = styles[name], floats([place])
        interval = scale * floats([ends.low[place, 0], ends.high[place, 0]])
        yield Line("", look, interval, floats([place] * 2), "interval")
        yield Line("", look, scale * mean[place, :1], at, "mean")
