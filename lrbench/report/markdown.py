"""An answer as Markdown, to paste into an issue or the draft of a paper."""

import re
from collections.abc import Iterable, Sequence

from lrbench.analysis import Summary
from lrbench.analysis.diagnosis import diagnosis_lines
from lrbench.rangetest.result import FindResult
from lrbench.report import compared, found
from lrbench.report.table import Table
from lrbench.report.text import clean
from lrbench.report.write_csv import FILES


def to_markdown(summary: Summary) -> str:
    """The sentence, the ranking as a table, how sure it is, and the warnings."""
    parts = [f"**{escape(compared.answer_text(summary))}**"]
    if len(summary.ranking):
        ranking = compared.ranking_table(summary)
        parts += [_table(ranking), f"{escape(ranking.caption)}."]
    for text in (compared.certainty_text(summary), compared.told_apart_text(summary)):
        if text:
            parts.append(escape(text))
    findings = list(diagnosis_lines(summary.diagnosis))
    if findings:
        parts.append("From the curves:\n\n" + _list(findings))
    if summary.warnings:
        parts.append(_list(map(str, summary.warnings)))
    return "\n\n".join(parts) + "\n"


def find_markdown(result: FindResult) -> str:
    """The learning rate with its grade and reasons, what it rests on, what each rule says."""
    answer = "No learning rate can be defended" if result.lr is None else f"LR {result.lr:.3g}"
    parts = [f"**{answer}** (grade {result.grade})"]
    if result.reasons:
        parts.append(_list(result.reasons))
    if result.lr is not None:
        parts.append(_lines(("", ""), found.facts(result)))
    parts.append(_table(found.rules_table(result)))
    return "\n\n".join(parts) + "\n"


def columns_page() -> str:
    """`docs/columns.md`: every column of every CSV file of a comparison."""
    parts = [
        "# The columns of a comparison's files",
        "Accuracies are fractions, times seconds, floats in full precision; an empty cell is a "
        "missing value.\nThis page is made by `lrbench.report.markdown.columns_page`.",
    ]
    for name, columns in FILES.items():
        rows = [(f"`{column.name}`", escape(column.help)) for column in columns]
        lines = "\n".join(f"| {cell} | {text} |" for cell, text in rows)
        parts.append(f"## {name}.csv\n\n| column | meaning |\n| --- | --- |\n{lines}")
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in one line.

    >>> escape("a|b *c* <d>")
    'a\\\\|b \\\\*c\\\\* \\\\<d\\\\>'
    """
    return re.sub(r"([\\`*_\[\]<>|~#])", r"\\\1", clean(text, 2000))


def _table(made: Table) -> str:
    return _lines(made.heads, ([cell.text for cell in row] for row in made.rows))


def _lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [[escape(text) if text != "#" else text for text in heads], ["---"] * len(heads)]
    lines += [[escape(text) for text in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {escape(item)}" for item in items)
