"""An answer as Markdown, for an issue or a paper draft."""

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
    parts = [f"**{escape(summary.sentence)}**"]
    if len(summary.ranking):
        ranking = compared.ranking_table(summary)
        parts += [_table(ranking), f"{escape(ranking.caption)}."]
    parts += [escape(summary.certainty), escape(compared.told_apart_text(summary))]
    if findings := list(diagnosis_lines(summary.diagnosis)):
        parts.append("From the curves:\n\n" + _list(findings))
    parts.append(_list(map(str, summary.warnings)))
    return "\n\n".join(filter(None, parts)) + "\n"


def find_markdown(result: FindResult) -> str:
    """The learning rate with its grade and reasons, the evidence, and what each rule says."""
    answer = "No learning rate can be defended" if result.lr is None else f"LR {result.lr:.3g}"
    parts = [f"**{answer}** (grade {result.grade})", _list(result.reasons)]
    if result.lr is not None:
        parts.append(_lines(("", ""), (map(escape, pair) for pair in found.facts(result))))
    parts.append(_table(found.rules_table(result)))
    return "\n\n".join(filter(None, parts)) + "\n"


def columns_page() -> str:
    """`docs/columns.md`: every column of every CSV file of a comparison."""
    parts = [
        "# The columns of a comparison's files",
        "Accuracies are fractions, times seconds, floats in full precision; an empty cell is a "
        "missing value.\nThis page is made by `lrbench.report.markdown.columns_page`.",
    ]
    for name, columns in FILES.items():
        rows = ((f"`{column.name}`", escape(column.help)) for column in columns)
        parts.append(f"## {name}.csv\n\n{_lines(('column', 'meaning'), rows)}")
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text escaped for Markdown, on one line.

    >>> escape("a|b *c* <d>")
    'a\\\\|b \\\\*c\\\\* \\\\<d\\\\>'
    """
    return re.sub(r"([\\`*_\[\]<>|~#])", r"\\\1", clean(text, 4000))


def _table(made: Table) -> str:
    rows = ([escape(cell.text) for cell in row] for row in made.rows)
    return _lines(list(map(escape, made.heads)), rows)


def _lines(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {escape(item)}" for item in items)
