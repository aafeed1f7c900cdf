"""A comparison's answer as tables for a terminal: at most 80 columns, readable without colour."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrbench.analysis import Summary
from lrbench.analysis.diagnosis import diagnosis_lines
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.standing import in_cell
from lrbench.report import shown
from lrbench.report.tables import name_text, plain_table
from lrbench.report.text import clean

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console, ConsoleOptions, Group, RenderableType
    from rich.table import Table

NARROW = 66  # columns


def answer(summary: Summary) -> Group:
    """Tables of the ranking, of what else was measured and of the reference, then the sentence
    and what a larger run would add."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for table in tables(summary):
        parts += [Fitting(table), Text()]
    parts.append(Text(clean(capital(summary.sentence), 2000) + ".", style="bold"))
    if summary.power_sentence:
        parts.append(Text(clean(capital(summary.power_sentence), 2000) + "."))
    lines = [clean(line, 2000) for line in diagnosis_lines(summary.diagnosis)]
    if lines:
        parts.append(Text("\n" + "\n".join(["From the curves:", *lines])))
    return Group(*parts)


@dataclass(frozen=True)
class Fitting:
    """A table; where the terminal is too narrow for it, a few lines for each of its rows."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        if options.max_width >= NARROW:
            yield self.table
        else:
            yield from stacked(self.table)


def stacked(table: Table) -> Iterator[RenderableType]:
    """For each row its name, after what stands before it, then each value under its title."""
    from rich.padding import Padding
    from rich.text import Text

    heads = [" ".join(str(column.header).split()) for column in table.columns]
    name = heads.index("schedule")
    for row in zip(*(column.cells for column in table.columns), strict=True):
        cells = [str(cell) for cell in row]
        yield Text(" ".join(cells[: name + 1]), style="bold")
        pairs = zip(heads[name + 1 :], cells[name + 1 :], strict=True)
        values = [f"{head} {cell}" for head, cell in pairs if cell not in ("", shown.MISSING)]
        yield Padding(Text(" · ".join(values)), (0, 0, 0, 2))
    if table.caption:
        yield Text(str(table.caption), style="dim")


def tables(summary: Summary) -> Iterator[Table]:
    """Those of the tables that have a row."""
    if len(summary.ranking):
        yield ranking_table(summary)
        yield details_table(summary)
    if len(summary.reference):
        yield reference_table(summary)


def ranking_table(summary: Summary) -> Table:
    """Rank, group, LR, the metric with its interval, the difference to the best with its own."""
    metric = summary.metric
    table = plain_table()
    table.add_column("#", justify="right", overflow="fold")
    table.add_column("tie", overflow="fold")
    table.add_column("schedule", overflow="fold")
    cells = shown.cell_columns(summary.ranking)
    for title in cells.values():
        table.add_column(title, justify="right", overflow="fold")
    table.add_column("LR", justify="right", overflow="fold")
    table.add_column(metric.replace("_", " "), justify="right", overflow="fold")
    table.add_column("vs the best", justify="right", overflow="fold")
    table.add_column("seeds", justify="right", overflow="fold")
    above = None
    for row in shown.records(summary.ranking):
        first = row["rank"] == 1
        here = (row["budget"], row["batch_size"])
        if above not in (None, here):
            table.add_section()
        above = here
        texts = [
            str(row["rank"]),
            row["group"] or "·",
            name_text(row["schedule"]),
            *(str(row[column]) for column in cells),
            f"{row['lr']:.3g}",
            shown.value(row["metric_mean"], shown.half(row, "ci"), metric),
            ""
            if row["diff_to_best"] == 0 and first
            else shown.difference(row, "diff_to_best", metric),
            shown.seeds(row),
        ]
        table.add_row(*texts, style="bold" if first else None)
    table.caption = caption(summary)
    return table


def details_table(summary: Summary) -> Table:
    """Speed of learning, what a wrong LR costs, the worst seed, overfitting, throughput."""
    table = plain_table()
    accuracy = is_accuracy(summary.metric)
    speed = ["target\nepochs", "target\nseconds", "val\narea"] if accuracy else []
    table.add_column("schedule", overflow="fold", vertical="bottom")
    for title in (*speed, "LR\ncost", "LR\nwidth", "worst\nseed", "gap", "img/s"):
        table.add_column(title, justify="right", overflow="fold")
    for row in shown.records(_first_ranking(summary)):
        cells = [
            shown.number(row["lr_sensitivity"], ".2g"),
            shown.number(row["lr_width"], ".3gx"),
            shown.value(row["worst_seed"], math.nan, summary.metric),
            shown.number(100 * row["generalisation_gap"], "+.1f"),
            shown.number(row["throughput_img_s"], ",.0f"),
        ]
        table.add_row(name_text(row["schedule"]), *(_speed(row) if accuracy else []), *cells)
    table.caption = details_caption(summary)
    if len(summary.standings) > 1:
        table.caption += "; all of it of the first ranking: ranking.csv has the others"
    return table


def _first_ranking(summary: Summary) -> DataFrame:
    first = summary.standings[0]
    rows = summary.ranking
    kept: DataFrame = rows[in_cell(rows, first.budget, first.batch_size)]
    return kept


def _speed(row: dict[str, Any]) -> list[str]:
    never = "never" if row["n"] else "·"
    return [
        shown.number(row["epochs_to_target"], ".1f", never),
        shown.number(row["time_to_target_s"], ".1f", never),
        shown.number(row["val_auc"], ".3f"),
    ]


def reference_table(summary: Summary) -> Table:
    """Each schedule against the one that was named beforehand."""
    from rich.text import Text

    table = plain_table()
    table.add_column("schedule", overflow="fold")
    over = Text(f"over {clean(str(summary.question.reference), 24)}")
    cells = shown.cell_columns(summary.ranking)
    for title in cells.values():
        table.add_column(title, justify="right", overflow="fold")
    table.add_column(over, justify="right")
    table.add_column("p (Holm)", justify="right", overflow="fold")
    table.add_column("verdict", overflow="fold")
    for row in shown.records(summary.reference):
        table.add_row(
            name_text(row["schedule"]),
            *(str(row[column]) for column in cells),
            shown.difference(row, "diff", summary.metric),
            shown.number(row["p_adjusted"], ".2g"),
            row["verdict"] or "·",
        )
    return table


def caption(summary: Summary) -> str:
    level = f"{100 * summary.question.confidence:g} %"
    tie = "same letter: not told apart from the group's best (Holm over all pairs); "
    return (tie if summary.groups else "") + f"± {level} t intervals, differences paired by seed"


def details_caption(summary: Summary) -> str:
    target = summary.target_accuracy
    parts = [f"target: {100 * target:.2f} % validation accuracy"] if target is not None else []
    parts.append("LR cost: mean validation loss above the best over the LR grid")
    if summary.trials["val_accuracy"].notna().any():
        parts.append("LR width: ratio of the LRs within 1 point of the best")
        parts.append("gap: training less validation accuracy, points")
    return "; ".join(parts)


def capital(text: str) -> str:
    """The text as a sentence begins, unless it begins with the name of a schedule."""
    words = ("no ", "with ", "one ", "for ")
    return text[:1].upper() + text[1:] if text.startswith(words) else text
