"""The metric against the one parameter in which schedules differ."""

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import in_cell
from lrbench.analysis.variants import groups_of
from lrbench.analysis.words import listed
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, run_looks
from lrbench.report.table import half, records, value
from lrbench.schedules import Variants

MOST_PANELS = 3


@PLOTS.register("variants", "the metric against the parameter in which schedules differ")
def variants_plot(summary: Summary) -> Chart | None:
    """A panel for each parameter, a line for each group of schedules that have all else alike."""
    groups = groups_of(summary.first.names) if summary.first else []
    parameters = list(dict.fromkeys(group.parameter for group in groups))[:MOST_PANELS]
    if not parameters:
        return None
    panels = tuple(
        _panel(summary, [group for group in groups if group.parameter == parameter])
        for parameter in parameters
    )
    title = f"{summary.metric.replace('_', ' ')} by {listed(parameters)}"
    note = f"mean and {100 * summary.question.confidence:g} % interval over the seeds"
    return Chart(title, panels, (5.5 * len(panels) + 1.5, 4.8), note, note, share=True)


def _panel(summary: Summary, groups: list[Variants]) -> Panel:
    metric, first = summary.metric, groups[0]
    unit = next(iter(reversed(first.values.values()))).lstrip("0123456789.e-")
    return Panel(
        tuple(_line(summary, group) for group in groups),
        first.parameter + (f", {unit}" if unit else ""),
        metric.replace("_", " ") + (", %" if is_accuracy(metric) else ""),
        x_ticks=tuple(sorted({amount for group in groups for amount in group.amounts})),
        labelled=len(groups) > 1,
    )


def _line(summary: Summary, group: Variants) -> Line:
    assert summary.first is not None
    here = in_cell(summary.ranking, summary.first.budget, summary.first.batch_size)
    rows = {row["schedule"]: row for row in records(summary.ranking[here])}
    scale = 100 if is_accuracy(summary.metric) else 1
    mine = [rows[name] for name in group.values]
    y, low, high = (
        scale * floats([row[key] for row in mine]) for key in ("metric_mean", "ci_low", "ci_high")
    )
    texts = [
        f"{name}: {value(row['metric_mean'], half(row, 'ci'), summary.metric)}"
        for name, row in zip(group.values, mine, strict=True)
    ]
    look = run_looks(summary)[next(iter(group.values))]
    return Line(
        next(iter(group.values)), look, np.array(group.amounts), y, "bars", low, high, texts
    )
