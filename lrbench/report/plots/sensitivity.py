"""What a wrong learning rate costs: validation accuracy, or loss, against the LR."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, floats, run_looks


@PLOTS.register("sensitivity", "validation accuracy, or loss, against the learning rate")
def sensitivity_plot(summary: Summary) -> Chart | None:
    """One line a schedule over its LR grid, dotted the score by which one was chosen, which is
    ringed; an LR at which every trial diverged is a cross at the bottom."""
    rows = summary.sensitivity
    rows = rows[rows["batch_size"] == rows["batch_size"].min()]
    rows = rows[rows["budget"] == rows["budget"].max()]
    accuracy = bool(rows["val_accuracy_mean"].notna().any())
    column = "val_accuracy_mean" if accuracy else "val_loss_mean"
    known = rows[rows[column].notna()]
    if not len(known) or known.groupby("schedule")["lr"].nunique().max() < 2:
        return None
    what = "validation accuracy" if accuracy else "validation loss"
    lrs = sorted(set(rows["lr"].tolist()))
    note = "after tuning; the chosen LR is ringed" if rows["chosen"].any() else ""
    if note and _has_scores(summary, rows):
        note += ", best by its score (dotted)"
    panel = Panel(
        (*_lines(summary, known, column), *_crosses(summary, rows[rows[column].isna()])),
        "learning rate",
        f"{what}, %" if accuracy else what,
        note,
        x_scale="log",
        y_scale="accuracy" if accuracy else "linear",
        x_ticks=_ticks(lrs),
    )
    note += "; a cross is an LR at which all diverged" if len(known) < len(rows) else ""
    return Chart(f"{what} against the learning rate", (panel,), note=note)


def _ticks(lrs: Sequence[float]) -> tuple[float, ...]:
    """Tried LRs so far apart that their labels do not meet.

    >>> _ticks([0.01, 0.0105, 0.02, 0.021, 0.04])
    (0.01, 0.02, 0.04)
    """
    gap = max(1.5, (lrs[-1] / lrs[0]) ** 0.1)
    found = [lrs[0]]
    for lr in lrs[1:]:
        if lr >= gap * found[-1]:
            found.append(lr)
    return tuple(found)


def _lines(summary: Summary, known: DataFrame, column: str) -> Iterator[Line]:
    styles, accuracy = run_looks(summary), column == "val_accuracy_mean"
    for name, mine in known.groupby("schedule", sort=False):
        look, x, y = styles[str(name)], floats(mine["lr"]), floats(mine[column])
        values = [f"{100 * value:.2f} %" if accuracy else f"{value:.4f}" for value in y]
        texts = [f"{name}, LR {lr:.3g}: {text}" for lr, text in zip(x, values, strict=True)]
        ring = mine["chosen"].to_numpy()
        choice = summary.question.choices.get((str(name), *mine[["budget", "batch_size"]].iloc[0]))
        if choice is not None and ring.any():
            texts[int(ring.argmax())] += f"; chosen: {choice.reason}"
        yield Line(str(name), look, x, y, texts=texts)
        yield Line("", look, x[ring], y[ring], "ring")
        if ring.any() and accuracy and _has_scores(summary, mine):
            yield Line("", look, x, floats(mine["score"]), "lost")


def _has_scores(summary: Summary, rows: DataFrame) -> bool:
    """Whether the scores are on the axis: those of a loss are not."""
    return is_accuracy(summary.metric) and bool(rows["score"].notna().all())


def _crosses(summary: Summary, rows: DataFrame) -> Iterator[Line]:
    """Schedules that diverged at the same LR stand next to each other."""
    styles, already = run_looks(summary), Counter[float]()
    for lr, name in zip(rows["lr"].tolist(), rows["schedule"].tolist(), strict=True):
        at = floats([lr * 1.04 ** already[lr]])
        yield Line("", styles[name], at, floats([0]), "cross")
        already[lr] += 1
