"""Weight decays that were tuned with the learning rates: where the optimum lies."""

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
    """A row for each pair of LR and weight decay that was tried in tuning, where there are several
    weight decays."""
    tuned = trials[(trials["stage"] == "tune") & trials["status"].notna() & (trials["study"] == 0)]
    several = tuned.groupby("schedule")["weight_decay"].nunique().max() > 1  # not of arms alone
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
    """The column by which tuning judged."""
    accuracy = is_accuracy(metric) and decays["val_accuracy_mean"].notna().any()
    return "val_accuracy_mean" if accuracy else "val_loss_mean"


def decays_text(decays: DataFrame, standing: Standing) -> str:
    """The chosen weight decays with their timescales, and whether the order of the schedules
    depends on them; empty without several."""
    mine = standing.part(decays)
    if not len(mine):
        return ""
    chosen = mine[mine["chosen"]]
    by_decay = chosen.groupby("weight_decay")["schedule"].agg(list)
    named = "; ".join(
        f"{decay:g} for {', '.join(short(name, 40) for name in names)}"
        for decay, names in by_decay.items()
    )
    scales = chosen["timescale"][np.isfinite(chosen["timescale"])]
    ends = "" if not len(scales) else " to ".join(
        dict.fromkeys(f"{float(f'{end:.2g}'):,g}" for end in (scales.min(), scales.max()))
    )  # fmt: skip
    timescale = f" (timescale 1 / (LR x weight decay): {ends} epochs)" if ends else ""
    return f"Weight decay, tuned with the LR: {named}{timescale}.{_orders(mine, standing)}"


def _orders(mine: DataFrame, standing: Standing) -> str:
    """What tuning alone says of the order of the schedules at each weight decay."""
    column = measured(mine, standing.metric)
    sign = direction(column.removesuffix("_mean"))
    best = (sign * mine[column]).groupby([mine["weight_decay"], mine["schedule"]]).max().unstack()
    if best.shape[1] < 2:
        return ""
    orders = {
        decay: tuple(row.sort_values(ascending=False, kind="stable").index)
        for decay, row in best.iterrows()
    }
    if len(set(orders.values())) == 1:
        return (
            " By the tuning trials alone, without a test, the order of the schedules is the same "
            "at every weight decay."
        )
    leaders: dict[str, list[str]] = {}
    for decay, order in orders.items():
        leaders.setdefault(order[0], []).append(f"{decay:g}")
    first = "; ".join(f"{short(n, 40)} at {', '.join(at)}" for n, at in leaders.items())
    if len(leaders) == 1:
        first = f"{short(next(iter(leaders)), 40)} at every one; only places behind it change"
    else:
        first = f"{first}: the order of the schedules changes"
    return f" By the tuning trials alone, without a test, first is {first}."
