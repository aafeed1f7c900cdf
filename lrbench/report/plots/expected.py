"""What tuning is worth: the best validation accuracy to be expected after some LRs were tried."""

import numpy as np

from lrbench.analysis import Summary
from lrbench.analysis.sensitivity import expected_best
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, run_looks


@PLOTS.register("expected_best", "the best to be expected of so many learning rates")
def expected_best_plot(summary: Summary) -> Chart | None:
    """One line a schedule: from an LR of its grid drawn blindly to the best of as many draws as the
    grid has LRs. A steep line is a schedule whose LR has to be tuned."""
    rows, first = summary.sensitivity, summary.first
    if first is None or not rows["val_accuracy_mean"].notna().any():
        return None
    rows = rows[(rows["budget"] == first.budget) & (rows["batch_size"] == first.batch_size)]
    most = int(rows.groupby("schedule")["lr"].nunique().max())
    if most < 2:
        return None
    styles, tried, lines = run_looks(summary), np.arange(1.0, most + 1), []
    chance = 1 / summary.question.classes if summary.question.classes else 0.0
    for name, mine in rows.groupby("schedule", sort=False):
        if len(mine) < 2:
            continue
        values = mine["val_accuracy_mean"].fillna(chance).to_numpy()
        best = np.array([expected_best(values, int(m)) for m in tried])
        texts = [
            f"{name}, best of {m:.0f}: {100 * y:.2f} %" for m, y in zip(tried, best, strict=True)
        ]
        lines.append(Line(str(name), styles[str(name)], tried, best, texts=texts))
    panel = Panel(
        tuple(lines), "learning rates tried, drawn from the grid", "validation accuracy, %",
        x_ticks=tuple(tried), y_scale="accuracy",
    )  # fmt: skip
    return Chart("expected best of the learning rates tried", (panel,))
