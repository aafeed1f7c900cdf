"""The cost of a wrong learning rate, and the value of tuning it."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.sensitivity import expected_best
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, by_schedule, floats, metric_axis
from lrbench.report.table import value


@PLOTS.register("expected_best", "the accuracy to expect from the best of n learning rates")
def expected_best_plot(summary: Summary) -> Chart | None:
    """One line per schedule: the expected best of n LRs drawn at random from its grid, for n up to
    the size of the largest grid. A steep line means that the LR must be tuned."""
    rows = summary.sensitivity
    if summary.first is None or not rows["val_accuracy_mean"].notna().any():
        return None
    rows = summary.first.part(rows)
    most = int(rows.groupby("schedule")["lr"].nunique().max())
    if most < 2:
        return None
    tried, lines = np.arange(1.0, most + 1), []
    chance = 1 / summary.question.classes if summary.question.classes else 0.0
    for name, look, mine in by_schedule(summary, rows):
        values = mine["val_accuracy_mean"].fillna(chance).to_numpy()
        best = floats([expected_best(values, int(m)) for m in tried])
        texts = [
            f"{name}, best of {m:.0f}: {value(y, 'accuracy')}"
            for m, y in zip(tried, best, strict=True)
        ]
        if len(mine) > 1:
            lines.append(Line(name, look, tried, best, texts=texts))
    panel = Panel(
        tuple(lines), "learning rates tried, drawn from the grid", "validation accuracy, %",
        x_ticks=tuple(tried), y_scale="accuracy",
    )  # fmt: skip
    return Chart("expected best of the learning rates tried", (panel,))


@PLOTS.register("sensitivity", "validation accuracy, or loss, against the learning rate")
def sensitivity_plot(summary: Summary) -> Chart | None:
    """One line per schedule over its LR grid, with the tuning score dotted and the chosen LR
    ringed; an LR at which every trial diverged is a cross at the bottom."""
    rows = summary.sensitivity
    rows = rows[rows["batch_size"] == rows["batch_size"].min()]
    rows = rows[rows["budget"] == rows["budget"].max()]
    metric = "val_accuracy" if rows["val_accuracy_mean"].notna().any() else "val_loss"
    known = rows[rows[f"{metric}_mean"].notna()]
    if not len(known) or known.groupby("schedule")["lr"].nunique().max() < 2:
        return None
    note = "after tuning; the chosen LR is ringed" if rows["chosen"].any() else ""
    if note and _has_scores(summary, rows):
        note += ", best by its score (dotted)"
    lines = (*_lines(summary, known, metric), *_crosses(summary, rows.drop(known.index)))
    label, scale = metric_axis(metric)
    ticks = _ticks(sorted(set(rows["lr"].tolist())))
    panel = Panel(lines, "learning rate", label, note, "log", scale, ticks)
    note += "; a cross is an LR at which every trial diverged" if len(known) < len(rows) else ""
    title = f"{label.removesuffix(', %')} against the learning rate"
    return Chart(title, (panel,), note=note)


def _ticks(lrs: Sequence[float]) -> tuple[float, ...]:
    """The LRs that are far enough apart to be labelled.

    >>> _ticks([0.01, 0.0105, 0.02, 0.021, 0.04])
    (0.01, 0.02, 0.04)
    """
    gap = max(1.5, (lrs[-1] / lrs[0]) ** 0.1)
    found = [lrs[0]]
    for lr in lrs[1:]:
        if lr >= gap * found[-1]:
            found.append(lr)
    return tuple(found)


def _lines(summary: Summary, known: DataFrame, metric: str) -> Iterator[Line]:
    for name, look, mine in by_schedule(summary, known):
        x, y, ring = floats(mine["lr"]), floats(mine[f"{metric}_mean"]), mine["chosen"].to_numpy()
        texts = [
            f"{name}, LR {lr:.3g}: {value(mean, metric)}" for lr, mean in zip(x, y, strict=True)
        ]
        choice = summary.question.choices.get((name, *mine[["budget", "batch_size"]].iloc[0]))
        if choice is not None and ring.any():
            texts[int(ring.argmax())] += f"; chosen: {choice.reason}"
        yield Line(name, look, x, y, texts=texts)
        yield Line("", look, x[ring], y[ring], "ring")
        if ring.any() and is_accuracy(metric) and _has_scores(summary, mine):
            yield Line("", look, x, floats(mine["score"]), "lost")


def _has_scores(summary: Summary, rows: DataFrame) -> bool:
    """Whether the scores can be drawn on this axis; scores of a loss cannot."""
    return is_accuracy(summary.metric) and bool(rows["score"].notna().all())


def _crosses(summary: Summary, rows: DataFrame) -> Iterator[Line]:
    """Crosses at the same LR are drawn next to each other."""
    already = Counter[float]()
    for _, look, mine in by_schedule(summary, rows):
        lrs = mine["lr"].tolist()
        yield Line("", look, floats([lr * 1.04 ** already[lr] for lr in lrs]), floats([]), "cross")
        already.update(lrs)
