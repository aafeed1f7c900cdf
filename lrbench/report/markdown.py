"""An answer as Markdown, to paste into an issue or a paper's draft."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lrbench.analysis import Summary
from lrbench.analysis.diagnosis import diagnosis_lines
from lrbench.rangetest.result import FindResult
from lrbench.report import shown
from lrbench.report.console import capital, caption
from lrbench.report.find_console import fact_lines, number
from lrbench.report.text import clean


def to_markdown(summary: Summary) -> str:
    """The sentence, the ranking as a table, what the run could have found, and the warnings."""
    parts = [f"**{escape(capital(summary.sentence))}.**"]
    if len(summary.ranking):
        parts += [_ranking(summary), escape(capital(caption(summary))) + "."]
    if summary.power_sentence:
        parts.append(escape(capital(summary.power_sentence)) + ".")
    said = [*diagnosis_lines(summary.diagnosis)]
    if said:
        parts.append("From the curves:\n\n" + "\n".join(f"- {escape(line)}" for line in said))
    if summary.notices:
        parts.append("\n".join(f"- {escape(str(notice))}" for notice in summary.notices))
    return "\n\n".join(parts) + "\n"


def _ranking(summary: Summary) -> str:
    metric, ranking = summary.metric, summary.ranking
    cells = shown.cell_columns(ranking)
    heads = ["#", "tie", "schedule", *cells.values(), "LR"]
    rows = [
        [
            str(row["rank"]),
            row["group"] or shown.MISSING,
            escape(row["schedule"]),
            *(str(row[name]) for name in cells),
            f"{row['lr']:.3g}",
            shown.value(row["metric_mean"], shown.half(row, "ci"), metric),
            shown.difference(row, "diff_to_best", metric) if row["diff_to_best"] else "best",
            shown.seeds(row),
        ]
        for row in shown.records(ranking)
    ]
    return table([*heads, metric.replace("_", " "), "vs the best", "seeds"], rows)


def find_markdown(result: FindResult) -> str:
    """The learning rate with its grade and reasons, what it stands on, what each rule says."""
    answer = "No learning rate can be defended" if result.lr is None else f"LR {result.lr:.3g}"
    parts = [f"**{answer}** (grade {result.grade})"]
    if result.reasons:
        parts.append("\n".join(f"- {escape(reason)}" for reason in result.reasons))
    if result.lr is not None:
        parts.append(table(["", ""], [[name, escape(text)] for name, text in fact_lines(result)]))
    rules = [[name, number(lr)] for name, lr in result.rules.items()]
    parts.append(table(["rule", "LR"], rules))
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are escaped already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in one line.

    >>> escape("a|b *c* <d>")
    'a\\\\|b \\\\*c\\\\* \\\\<d\\\\>'
    """
    return re.sub(r"([\\`*_\[\]<>|~#])", r"\\\1", clean(text, 2000))
