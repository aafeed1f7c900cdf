"""Answers on a terminal: at most 80 columns, readable without colour."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandas import DataFrame
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from lrbench.analysis import Summary
from lrbench.analysis.diagnosis import diagnosis_lines
from lrbench.analysis.question import is_accuracy
from lrbench.analysis.versus import VERSUS
from lrbench.rangetest.result import FindResult
from lrbench.report import compared, find_plot, found
from lrbench.report.table import MISSING, Table, table
from lrbench.report.text import clean

NARROW = 66  # columns
WORD = 26  # characters of a word to keep on one line
NAME = 12  # narrowest column of names, in characters
GRADE_STYLES = {"ok": "bold green", "weak": "bold yellow", "none": "bold red"}


def answer(summary: Summary, *, details: bool = False) -> Group:
    """A comparison: the sentence, the ranking, how sure it is; with `details`, everything."""
    head = [_text(summary.sentence, "bold")]
    if setting := compared.setting_text(summary):
        head.append(_text(setting, "dim"))
    blocks: list[Table | str] = [
        compared.ranking_table(summary),
        summary.certainty,
        compared.noise_table(summary),
        compared.reference_table(summary),
    ]
    if details:
        findings = "\n".join(["From the curves:", *diagnosis_lines(summary.diagnosis)])
        blocks += [
            compared.details_table(summary),
            compared.scaling_table(summary),
            compared.told_apart_text(summary),
            findings * ("\n" in findings),
        ]
    return Group(*head, *_spaced(blocks))


def _spaced(blocks: Iterable[Table | str]) -> Iterator[RenderableType]:
    """The blocks that are not empty, each after a blank line."""
    for block in blocks:
        if isinstance(block, str) and block:
            yield from (Text(), _text(block))
        elif isinstance(block, Table) and block.rows:
            yield from (Text(), Fitting(block))


def _text(words: str, style: str = "") -> Text:
    return Text("\n".join(clean(line, 4000) for line in words.splitlines()), style)


def find_answer(result: FindResult) -> Group:
    """A range test: its answer, the evidence for it, the short trainings."""
    style = GRADE_STYLES[result.grade]
    if result.lr is None:
        head = Text("no learning rate can be defended", style=style)
    else:
        head = Text.assemble("learning rate ", (f"{result.lr:.3g}", style), ", grade ")
        head.append(f"{result.grade}: {found.GRADES[result.grade]}", style=style)
    parts: list[RenderableType] = [head]
    if trained := find_plot.trained(result):
        parts.append(Text(trained))
    parts += [Padding(Text(clean(reason, 2000)), (0, 0, 0, 2)) for reason in result.reasons]
    if result.lr is not None:
        facts = RichTable(box=None, show_header=False, padding=(0, 2, 0, 0))
        facts.add_column(style="dim")
        for name, text in (*found.facts(result), ("other rules", found.other_rules(result))):
            facts.add_row(name, text)
        parts += [Text(), facts, *_spaced([found.trainings_table(result)])]
    return Group(*parts, *_spaced([found.against_table(result)]))


def find_tail(result: FindResult, folder: Path) -> Text:
    """The next command and the folder of the files. Print without wrapping."""
    command = found.next_command(result)
    said = Text(f"next: {clean(command, 2000)}\n" if command else "", style="bold")
    return said.append(f"files: {clean(str(folder), 2000)}", style="dim")


def versus_table(rows: DataFrame, a: str, b: str, differs: Sequence[str]) -> Group:
    """Two runs: which is A and which is B, how they differ, and a row for each schedule."""
    head = [f"A: {clean(a, 200)}", f"B: {clean(b, 200)}"]
    head.append(f"differs: {clean(', '.join(differs), 2000)}" if differs else "same experiment")
    if not len(rows):
        return Group(Text("\n".join([*head, "no schedule was ranked in both by the same metric"])))
    metric = str(rows["metric"].iloc[0])
    caption = (
        f"{metric.replace('_', ' ')}{', difference in points' if is_accuracy(metric) else ''}; "
        "over the seeds that both runs share; p and intervals are corrected for all comparisons"
    )
    made = table(rows, VERSUS, metric=metric, caption=caption)
    return Group(Text("\n".join(head)), Text(), Fitting(made))


def rich_table(made: Table) -> RichTable:
    """The table without a frame, its caption below; rows ranked first are bold."""
    shown = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption=made.caption or None,
        caption_justify="left",
        caption_style="dim",
    )
    for place, head in enumerate(made.heads):
        number = made.kinds[place] == "number"
        tall = number and len(made.heads) > 7 and len(head) > 6  # many columns: narrow heads
        title = Text(head.replace(" ", "\n") if tall else head)
        words = [len(word) for row in made.rows for word in row[place].text.split()]
        longest = None if number else min(max(words, default=0), WORD)
        shown.add_column(title, justify="right" if number else "left", overflow="fold",
                         vertical="top", min_width=longest)  # fmt: skip
    for place, row in enumerate(made.rows):
        if place in made.sections:
            shown.add_section()
        first = row[0].name == "rank" and row[0].key == 1
        shown.add_row(*(Text(cell.text) for cell in row), style="bold" if first else None)
    return shown


@dataclass(frozen=True)
class Fitting:
    """A table; on a terminal too narrow for it, a few lines per row instead."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        made, shown = self.table, rich_table(self.table)
        if "schedule" in made.heads:  # shorten names, never numbers
            place = made.heads.index("schedule")
            names = shown.columns[place]
            wide = Measurement.get(console, options.update(width=1000), shown).maximum
            if (excess := wide - options.max_width) > 0:
                names.min_width = None
                names.width = max(len(row[place].text) for row in made.rows) - excess
            if options.max_width < NARROW or (names.width is not None and names.width < NAME):
                yield from _stacked(made, place)
                return
        yield shown


def _stacked(made: Table, name: int) -> Iterator[RenderableType]:
    """Each row as its first cells up to the name, then the other values with their heads."""
    for row in made.rows:
        yield Text(" ".join(cell.text for cell in row[: name + 1]), style="bold")
        pairs = list(zip(made.heads, row, strict=True))[name + 1 :]
        values = [f"{head} {cell.text}" for head, cell in pairs if cell.text not in ("", MISSING)]
        yield Padding(Text(" · ".join(values)), (0, 0, 0, 2))
    if made.caption:
        yield Text(made.caption, style="dim")
