"""Accuracy, loss and learning rate over the epochs: means over the seeds, with a band."""

import math
from collections.abc import Iterator
from itertools import chain

import numpy as np
from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.names import watches_training
from lrbench.errors import LrbenchError
from lrbench.options import CompareSpec
from lrbench.report.plots.chart import PLOTS, Chart, Line, Panel, by_schedule, floats
from lrbench.report.table import value
from lrbench.schedules import parse

MOST_POINTS = 1000


@PLOTS.register("accuracy", "validation accuracy over the epochs")
def accuracy_plot(summary: Summary) -> Chart | None:
    means = tuple(_means(summary, "val_accuracy"))
    if not means:
        return None
    lines, note = (*means, *_lost(summary, "val_accuracy")), _seeds_note(summary)
    panel = Panel(lines, "epoch", "validation accuracy, %", note, "epochs", "accuracy")
    return Chart("validation accuracy over the epochs", (panel,), note=note)


@PLOTS.register("loss", "training and validation loss over the epochs, on the same scale")
def loss_plot(summary: Summary) -> Chart | None:
    titles = {"train_loss": "training loss", "val_loss": "validation loss"}
    drawn = {title: tuple(_means(summary, column)) for column, title in titles.items()}
    drawn = {title: lines for title, lines in drawn.items() if lines}
    if not drawn:
        return None
    positive = all((line.y > 0).all() for lines in drawn.values() for line in lines)
    panels = tuple(
        Panel(
            lines, "epoch", "loss", title, "epochs", "log" if positive else "linear",
            labelled=place == len(drawn),
        )
        for place, (title, lines) in enumerate(drawn.items(), 1)
    )  # fmt: skip
    size = (4.2 * len(panels) + 2, 4.8)
    return Chart("loss over the epochs", panels, size, _seeds_note(summary), share=True)


@PLOTS.register("lr", "the learning rate that each schedule used")
def lr_plot(summary: Summary) -> Chart | None:
    lines = tuple(_lrs(summary))
    if not lines:
        return None
    panel = Panel(lines, "epoch", "learning rate", x_scale="epochs", y_scale="from 0")
    return Chart("learning rate over the epochs", (panel,), (8, 4.2))


def _seeds_note(summary: Summary) -> str:
    if summary.first is None:
        return ""
    count = int(summary.first.counts.max())
    means = f"mean of {count} seeds; band: ± 1 standard deviation, within their range"
    return means if count > 1 else "one seed"


def _finals(summary: Summary, *statuses: str) -> DataFrame:
    """The epochs of the first ranking's final trials at the chosen LR; with `statuses`, only of
    trials that ended with one of them."""
    rows = summary.epochs[summary.epochs["stage"] == "final"]
    if summary.first is not None:
        rows = summary.first.part(rows)
    chosen = rows["schedule"].map(summary.chosen)
    kept = chosen.isna() | (rows["lr"] == chosen)
    if statuses:
        ended = summary.trials["trial"][summary.trials["status"].isin(statuses)]
        kept &= rows["trial"].isin(ended)
    found: DataFrame = rows[kept]
    return found


def _means(summary: Summary, column: str) -> Iterator[Line]:
    """Mean and standard deviation of each schedule, over final trials that ended well."""
    rows = _finals(summary, "done")
    for name, look, mine in by_schedule(summary, rows[rows[column].notna()]):
        by_epoch = mine.groupby("epoch")[column]
        epochs, mean = floats(by_epoch.mean().index), floats(by_epoch.mean())
        sd = floats(by_epoch.std(ddof=1).fillna(0.0))
        texts = [
            f"{name}, epoch {x:g}: {value(y, column, spread or math.nan)}"
            for x, y, spread in zip(epochs, mean, sd, strict=True)
        ]
        low = np.maximum(mean - sd, floats(by_epoch.min()))
        high = np.minimum(mean + sd, floats(by_epoch.max()))
        yield Line(name, look, epochs, mean, "line", low, high, texts)


def _lost(summary: Summary, column: str) -> Iterator[Line]:
    """Final trials that did not end well: thin, dotted, with a cross at the end."""
    rows = _finals(summary, "diverged", "failed")
    for _, look, mine in by_schedule(summary, rows[rows[column].notna()]):
        for _, trial in mine.groupby("trial"):
            x, y = floats(trial["epoch"]), floats(trial[column])
            yield Line("", look, x, y, "lost")
            yield Line("", look, x[-1:], y[-1:], "end")


def _lrs(summary: Summary) -> Iterator[Line]:
    """The LR of each schedule's longest final trial. If the schedule watches the training, each cut
    of the LR is marked."""
    experiment = summary.question.manifest.get("experiment")
    entered = CompareSpec(**experiment).entered if experiment else {}
    specs = {name: str(arm.schedule) for name, arm in entered.items()}
    for name, look, mine in by_schedule(summary, _finals(summary)):
        longest = mine.groupby("trial", sort=False)["epoch"].max().idxmax()
        trial = mine[mine["trial"] == longest]
        schedule = specs.get(name, name)
        points = floats(_computed(schedule, trial) or _recorded(trial))
        x, y = points[:, 0], points[:, 1]
        texts = [f"{name}, epoch {epoch:.3g}: LR {lr:.3g}" for epoch, lr in points]
        yield Line(name, look, x, y, "plain", texts=texts)
        between_epochs = np.floor(x[:-1]) < np.floor(x[1:])
        cuts = between_epochs & (y[1:] < y[:-1])
        if watches_training(schedule) and cuts.any():
            yield Line("", look, x[:-1][cuts], y[:-1][cuts], "cut")


def _computed(schedule: str, trial: DataFrame) -> list[tuple[float, float]]:
    """(epoch, LR) points computed from the schedule. Empty if it watches the training, if its
    plug-in is missing, or if the records differ from it, as with parameter groups."""
    if watches_training(schedule):
        return []
    first = trial.iloc[0]
    per_epoch = int(first["step"]) // int(first["epoch"])
    steps = per_epoch * int(first["budget"])
    try:
        table = parse(schedule).table(lr=float(first["lr"]), steps=steps, steps_per_epoch=per_epoch)
    except LrbenchError:
        return []
    starts = [table[(epoch - 1) * per_epoch] for epoch in trial["epoch"].tolist()]
    if not np.allclose(starts, trial["lr_first"], rtol=1e-6, atol=0):
        return []
    stride = max(1, steps // MOST_POINTS)
    kept = sorted({*range(0, steps, stride), steps - 1})
    return [(step / per_epoch, table[step]) for step in kept]


def _recorded(trial: DataFrame) -> list[tuple[float, float]]:
    """The LR of each epoch's first and last step."""
    steps = trial["step"] / trial["epoch"]
    rows = zip(trial["epoch"], trial["lr_first"], trial["lr_last"], steps, strict=True)
    ends = (((e - 1.0, first), (e - 1 / per_epoch, last)) for e, first, last, per_epoch in rows)
    return list(chain.from_iterable(ends))
