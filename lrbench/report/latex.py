"""An answer as a LaTeX table, for a paper: it needs the package booktabs."""

from __future__ import annotations

import re

from lrbench.analysis import Summary
from lrbench.rangetest.result import FindResult
from lrbench.report import compared, found
from lrbench.report.find_plot import heading
from lrbench.report.table import Table

WRITTEN = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "½": r"$\frac{1}{2}$", "·": "--", "…": r"\dots{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def to_latex(summary: Summary) -> str:
    """The ranking, with the answer and what the columns mean as its caption."""
    made = compared.ranking_table(summary)
    return _table(made, f"{compared.answer_text(summary)} In the table, {made.caption}.")


def find_latex(result: FindResult) -> str:
    """What each rule says, with the answer as its caption."""
    return _table(found.rules_table(result), f"{heading(result)}.")


def escape(text: str) -> str:
    """Text that LaTeX shows as it is.

    >>> escape("97.5 ± 0.2 % of a_b"), escape("-0.1")
    ('97.5 $\\\\pm$ 0.2 \\\\% of a\\\\_b', '$-$0.1')
    """
    shown = "".join(WRITTEN.get(sign, sign) for sign in text)
    return re.sub(r"(?<![\w)])-(?=\d)", "$-$", shown)


def _table(made: Table, caption: str) -> str:
    columns = "".join("r" if kind == "number" else "l" for kind in made.kinds)
    rows = [r" & ".join(escape(cell.text) for cell in row) + r" \\" for row in made.rows]
    for place in reversed(made.sections):
        rows.insert(place, r"\midrule")
    return "\n".join([
        r"\begin{table}", r"  \centering", f"  \\caption{{{escape(caption)}}}",
        f"  \\begin{{tabular}}{{{columns}}}", r"    \toprule",
        "    " + " & ".join(map(escape, made.heads)) + r" \\", r"    \midrule",
        *(f"    {row}" for row in rows), r"    \bottomrule", r"  \end{tabular}", r"\end{table}", "",
    ])  # fmt: skip
