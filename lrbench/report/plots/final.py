"""The ranking drawn: every seed, the mean with its interval, and the difference to the best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import Standing, in_cell
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, run_looks


@PLOTS.register("final", "the ranking: seeds, means, differences to the best", page=False)
def final_plot(summary: Summary) -> Chart | None:
    """Left the metric, right the paired difference to the best; the letters are the groups."""
    standing = summary.first
    if standing is None:
        return None
    count, accuracy = len(standing.names), is_accuracy(standing.metric)
    metric = standing.metric.replace("_", " ")
    remarks = tuple(
        f"{failed} failed" if failed else letter
        for letter, failed in zip(standing.verdicts.letters, standing.failed, strict=True)
    )
    panels = [
        Panel(
            tuple(_values(summary, standing)),
            metric + (", %" if accuracy else ""),
            title="mean and interval; dots: each seed",
            rows=standing.names,
            remarks=() if count > 1 else remarks,
            labelled=False,
        )
    ]
    if count > 1:
        panels.append(
            Panel(
                tuple(_differences(summary, standing)),
                metric + (", points" if accuracy else ""),
                title="difference to the best, paired",
                remarks=remarks,
                labelled=False,
                zero_line=True,
            )
        )
    footnote = f"intervals: {100 * standing.confidence:g} % each"
    if standing.groups:
        footnote += "; same letter: no significant difference from the group's best (Holm)"
    return Chart(
        "ranking", tuple(panels), (9, 1.7 + 0.36 * count), footnote=footnote,
        widths=(3, 2)[: len(panels)], share_y=True,
    )  # fmt: skip


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
        yield Line("", look, floats([scale * mean]), floats([place]), "mean")


def _differences(summary: Summary, standing: Standing) -> Iterator[Line]:
    scale, styles = 100 if is_accuracy(standing.metric) else 1, run_looks(summary)
    pairs = standing.verdicts.pairs
    for place, name in enumerate(standing.names[1:], 1):
        mean, half = scale * pairs.mean[place, 0], scale * pairs.half[place, 0]
        look = styles[name]
        yield Line("", look, floats([mean - half, mean + half]), floats([place] * 2), "interval")
        yield Line("", look, floats([mean]), floats([place]), "mean")
