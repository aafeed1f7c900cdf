"""Learning rate and weight decay together: a map for each schedule."""

import numpy as np
from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.corrections import Floats
from lrbench.analysis.decay import measured
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats
from lrbench.report.style import INK, Look

MOST_PANELS = 6


@PLOTS.register("decays", "validation accuracy, or loss, over LR and weight decay")
def decays_plot(summary: Summary) -> Chart | None:
    """Darker is better, in each map for itself; the pair that was chosen is ringed."""
    rows = summary.decays
    if not len(rows):
        return None
    first = rows[["budget", "batch_size"]].iloc[0]
    rows = rows[(rows["budget"] == first["budget"]) & (rows["batch_size"] == first["batch_size"])]
    column = measured(rows, summary.metric)
    names = list(dict.fromkeys(rows["schedule"]))[:MOST_PANELS]
    shown = rows[rows["schedule"].isin(names)]
    scale = 100 if column == "val_accuracy_mean" else 1
    panels = tuple(_panel(name, shown[shown["schedule"] == name], column, scale) for name in names)
    what = "validation accuracy, %" if scale == 100 else "validation loss"
    note = f"{what}, mean over the tuning seeds; the pair that was chosen is ringed"
    return Chart(
        "learning rate and weight decay", panels, (2.6 * len(panels) + 1.2, 3.4), note=note,
        footnote=note, share=True,
    )  # fmt: skip


def _shade(goodness: Floats) -> Floats:
    """1 for the best, 0 for the worse half: a collapse must not make all else look alike."""
    known = goodness[np.isfinite(goodness)]
    if not len(known):
        return goodness
    low, high = float(np.median(known)), float(known.max())
    return np.clip((goodness - low) / ((high - low) or 1.0), 0, 1)


def _panel(name: str, rows: DataFrame, column: str, scale: float) -> Panel:
    decays = sorted(set(rows["weight_decay"]), reverse=True)
    x, y = floats(rows["lr"]), floats([decays.index(decay) for decay in rows["weight_decay"]])
    values, ring = scale * floats(rows[column]), rows["chosen"].to_numpy()
    texts = [
        f"{name}, LR {lr:.3g}, weight decay {decay:g}: {value:.4g}, timescale {epochs:.3g} epochs"
        for lr, decay, value, epochs in zip(
            x, rows["weight_decay"], values, rows["timescale"], strict=True
        )
    ]
    look, shade = Look(INK, "-", "o"), _shade(values if scale == 100 else -values)
    cells = Line("", look, x, y, "cells", shade, values, texts)
    return Panel(
        (cells, Line("", look, x[ring], y[ring], "circle")), "learning rate", "weight decay", name,
        x_scale="log", x_ticks=tuple(sorted(set(x.tolist()))), labelled=False,
        rows=tuple(f"{decay:g}" for decay in decays),
    )  # fmt: skip
