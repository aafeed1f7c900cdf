"""An answer as a LaTeX table for a paper; needs the booktabs package."""

import re

from lrbench.analysis import Summary
from lrbench.rangetest.result import FindResult
from lrbench.report import compared, found
from lrbench.report.find_plot import heading
from lrbench.report.table import Cell, Table
from lrbench.report.text import clean

WRITTEN = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "½": r"$\frac{1}{2}$", "·": r"$\cdot$", "…": r"\dots{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def to_latex(summary: Summary) -> str:
    """The ranking, captioned with what was trained, what is told apart, and how sure that is."""
    made, trained = compared.ranking_table(summary), compared.setting_text(summary)
    metric = summary.metric.replace("_", " ")
    parts = [
        f"Learning rate schedules{f' ({trained})' * bool(trained)}, ranked by {metric}.",
        f"{made.caption}.",
        compared.told_apart_text(summary),
        summary.certainty,
    ]
    return _table(made, " ".join(filter(None, parts)), summary.sentence)


def find_latex(result: FindResult) -> str:
    """What each rule says, with the answer as the caption."""
    return _table(found.rules_table(result), f"{heading(result)}.", "")


def escape(text: str) -> str:
    """Text escaped for LaTeX.

    >>> escape("97.5 ± 0.2 % of a_b"), escape("-0.1")
    ('97.5 $\\\\pm$ 0.2 \\\\% of a\\\\_b', '$-$0.1')
    """
    shown = "".join(WRITTEN.get(sign, sign) for sign in clean(text, 10_000))
    return re.sub(r"(?<![\w)])-(?=\d)", "$-$", shown)


def _written(cell: Cell) -> str:
    text = escape(cell.text)
    return text.replace("-", "--") if cell.name == "rank" else text


def _table(made: Table, caption: str, answer: str) -> str:
    """`answer` becomes a comment: it is advice, not a caption."""
    columns = "".join("r" if kind == "number" else "l" for kind in made.kinds)
    rows = [r" & ".join(map(_written, row)) + r" \\" for row in made.rows]
    for place in reversed(made.sections):
        rows.insert(place, r"\midrule")
    return "\n".join([
        *([f"% {clean(answer, 4000)}"] if answer else []), r"% needs \usepackage{booktabs}",
        r"\begin{table}", r"  \centering", f"  \\caption{{{escape(caption)}}}",
        r"  \label{tab:learning-rates}",
        f"  \\begin{{tabular}}{{{columns}}}", r"    \toprule",
        "    " + " & ".join(map(escape, made.heads)) + r" \\", r"    \midrule",
        *(f"    {row}" for row in rows), r"    \bottomrule", r"  \end{tabular}", r"\end{table}", "",
    ])  # fmt: skip
