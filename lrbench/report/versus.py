"""Two runs side by side, as a table for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrbench.analysis.question import is_accuracy
from lrbench.report.shown import MISSING, difference, number, records, value
from lrbench.report.tables import name_text, plain_table
from lrbench.report.text import clean

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Group


def versus_table(rows: DataFrame, a: str, b: str, differs: Sequence[str]) -> Group:
    """Which run is A and which is B, what differs between them, a row for each schedule."""
    from rich.console import Group
    from rich.text import Text

    head = [f"A: {clean(a, 200)}", f"B: {clean(b, 200)}"]
    head.append(f"differs: {clean(', '.join(differs), 2000)}" if differs else "one experiment")
    if not len(rows):
        return Group(Text("\n".join([*head, "no schedule was ranked in both by one metric"])))
    table = plain_table()
    cells = [name for name in ("budget", "batch_size") if _several(rows, name)]
    table.add_column("schedule", overflow="fold")
    for name in cells:
        table.add_column({"budget": "epochs", "batch_size": "batch"}[name], justify="right")
    for title in ("LR A, B", "A", "B", "B - A", "p"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("B is", overflow="fold")
    metric = str(rows["metric"].iloc[0])
    for row in records(rows):
        table.add_row(
            name_text(row["schedule"]),
            *(f"{row[f'{name}_a']}" for name in cells),
            f"{row['lr_a']:.3g}, {row['lr_b']:.3g}",
            *(
                value(row[name], math.nan, metric).removesuffix(" %")
                for name in ("mean_a", "mean_b")
            ),
            difference(row, "diff", metric),
            number(row["p_adjusted"], ".2g"),
            row["verdict"] or MISSING,
        )
    unit = ", %" if is_accuracy(metric) else ""
    words = "over the seeds that both runs have, differences paired; p: Holm"
    table.caption = f"{metric.replace('_', ' ')}{unit}; {words}"
    return Group(Text("\n".join(head)), Text(), table)


def _several(rows: DataFrame, name: str) -> bool:
    return bool(rows[f"{name}_a"].nunique() > 1)
