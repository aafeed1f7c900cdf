"""Learning rate against weight decay: a map for each schedule."""

import numpy as np
from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.corrections import Floats
from lrbench.analysis.decay import measured
from lrbench.analysis.question import direction
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, by_schedule, floats, metric_axis
from lrbench.report.style import INK, Look

MOST_PANELS = 6


@PLOTS.register("decays", "validation accuracy, or loss, over LR and weight decay")
def decays_plot(summary: Summary) -> Chart | None:
    """Darker is better, on each map's own scale; the chosen pair is ringed."""
    rows = summary.decays
    if not len(rows):
        return None
    cells = rows[["budget", "batch_size"]]
    rows = rows[(cells == cells.iloc[0]).all(axis=1)]
    metric = measured(rows, summary.metric).removesuffix("_mean")
    panels = tuple(_panel(name, mine, metric) for name, _, mine in by_schedule(summary, rows))[
        :MOST_PANELS
    ]
    what, _ = metric_axis(metric)
    note = f"{what}, mean over the tuning seeds; the chosen pair is ringed"
    size = (2.6 * len(panels) + 1.2, 3.4)
    return Chart("learning rate and weight decay", panels, size, note, note, share=True)


def _panel(name: str, rows: DataFrame, metric: str) -> Panel:
    decays = sorted(set(rows["weight_decay"]), reverse=True)
    x, y = floats(rows["lr"]), floats([decays.index(decay) for decay in rows["weight_decay"]])
    values, ring = floats(rows[f"{metric}_mean"]), rows["chosen"].to_numpy()
    shade = _shade(direction(metric) * values)
    values = values * (100 if direction(metric) > 0 else 1)
    columns = (x, rows["weight_decay"], values, rows["timescale"])
    texts = [
        f"{name}, LR {lr:.3g}, weight decay {decay:g}: {value:.4g}, timescale {epochs:.3g} epochs"
        for lr, decay, value, epochs in zip(*columns, strict=True)
    ]
    look = Look(INK, "-", "o")
    cells = Line("", look, x, y, "cells", shade, values, texts)
    return Panel(
        (cells, Line("", look, x[ring], y[ring], "circle")), "learning rate", "weight decay", name,
        x_scale="log", x_ticks=tuple(np.unique(x)), labelled=False,
        rows=tuple(f"{decay:g}" for decay in decays),
    )  # fmt: skip


def _shade(goodness: Floats) -> Floats:
    """1 for the best, 0 for the worse half, so that one collapse does not hide all differences."""
    known = goodness[np.isfinite(goodness)]
    if not len(known):
        return goodness
    low, high = float(np.median(known)), float(known.max())
    return np.clip((goodness - low) / ((high - low) or 1.0), 0, 1)
