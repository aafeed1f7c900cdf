"""Weight decays tuned together with the learning rate: where the optimum lies."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.names import short
from lrbench.analysis.question import direction, is_accuracy
from lrbench.analysis.standing import Standing
from lrbench.analysis.tidy import BATCH_SIZE, BUDGET, SCHEDULE, Column, frame

DECAYS = (
    SCHEDULE,
    BUDGET,
    BATCH_SIZE,
    Column("weight_decay", "float64", "weight decay", title="weight decay", form=".3g"),
    Column("lr", "float64", "learning rate", title="LR", form=".3g"),
    Column("n", "int64", "tuning trials that ended well"),
    Column("val_accuracy_mean", "float64", "mean over these trials"),
    Column("val_loss_mean", "float64", "mean over these trials"),
    Column("timescale", "float64", "1 / (LR x weight decay), in epochs (arXiv:2405.13698)",
           title="timescale, epochs", form=".3g"),
    Column("chosen", "bool", "whether the final trials use the pair"),
)  # fmt: skip


def decays_frame(found: Sequence[Standing], trials: DataFrame) -> DataFrame:
    """A row for each pair of LR and weight decay tried in tuning; empty with one weight decay."""
    tuned = trials[(trials["stage"] == "tune") & trials["status"].notna() & (trials["study"] == 0)]
    several = tuned.groupby("schedule")["weight_decay"].nunique().max() > 1  # not arms alone
    return frame((row for each in found for row in _rows(each, tuned) if several), DECAYS)


def _rows(standing: Standing, tuned: DataFrame) -> Iterator[dict[str, Any]]:
    here = standing.part(tuned)
    for name, finals in zip(standing.names, standing.finals, strict=True):
        final, mine = finals.iloc[0], here[here["schedule"] == name]
        pairs: Iterable[tuple[Any, DataFrame]] = mine.groupby(["weight_decay", "lr"])
        for (decay, lr), those in pairs:
            done = those[those["status"] == "done"]
            rate = lr * decay * final["steps"] / max(1, final["epochs"])
            yield {
                **standing.cell,
                "schedule": name,
                "weight_decay": decay,
                "lr": lr,
                "n": len(done),
                "val_accuracy_mean": done["val_accuracy"].mean(),
                "val_loss_mean": done["val_loss"].mean(),
                "timescale": 1 / rate if rate > 0 else math.inf,
                "chosen": (lr, decay) == (final["lr"], final["weight_decay"]),
            }


def measured(decays: DataFrame, metric: str) -> str:
    """The column that tuning was judged by."""
    accuracy = is_accuracy(metric) and decays["val_accuracy_mean"].notna().any()
    return "val_accuracy_mean" if accuracy else "val_loss_mean"


def decays_text(decays: DataFrame, standing: Standing) -> str:
    """The chosen weight decays with their timescales, and whether the order of the schedules
    depends on the weight decay; empty with one weight decay."""
    mine = standing.part(decays)
    if not len(mine):
        return ""
    chosen = mine[mine["chosen"]]
    by_decay = chosen.groupby("weight_decay")["schedule"].agg(list)
    named = "; ".join(
        f"{decay:g} for {', '.join(short(name, 40) for name in names)}"
        for decay, names in by_decay.items()
    )
    scales = sorted(chosen["timescale"][np.isfinite(chosen["timescale"])])
    ends = dict.fromkeys(f"{float(f'{end:.2g}'):,g}" for end in (*scales[:1], *scales[-1:]))
    timescale = f" (timescale 1 / (LR x weight decay): {' to '.join(ends)} epochs)" if ends else ""
    return f"Weight decay, tuned with the LR: {named}{timescale}.{_orders(mine, standing)}"


def _orders(mine: DataFrame, standing: Standing) -> str:
    """How tuning alone orders the schedules at each weight decay."""
    column = measured(mine, standing.metric)
    sign = direction(column.removesuffix("_mean"))
    best = (sign * mine[column]).groupby([mine["weight_decay"], mine["schedule"]]).max().unstack()
    if best.shape[1] < 2:
        return ""
    orders, leaders = set[tuple[str, ...]](), dict[str, list[str]]()
    for decay, row in best.iterrows():
        order = row.sort_values(ascending=False, kind="stable").index
        orders.add(tuple(order))
        leaders.setdefault(short(order[0], 40), []).append(f"{decay:g}")
    if len(orders) == 1:
        said = "the order of the schedules is the same at every weight decay"
    elif len(leaders) == 1:
        said = f"{next(iter(leaders))} leads at every one; only places behind it change"
    else:
        first = "; ".join(f"{name} leads at {', '.join(at)}" for name, at in leaders.items())
        said = f"{first}: the order of the schedules changes"
    return f" By the tuning trials alone, without a test, {said}."
