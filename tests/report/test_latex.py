import shutil
import subprocess
from pathlib import Path

import pytest

from lrbench.analysis import Question, summarise
from lrbench.report.latex import escape, find_latex, to_latex
from tests.analysis.made import finals
from tests.report.find_results import found


def ranked(*names: str) -> str:
    values = {name: [0.97 - i / 50, 0.98 - i / 50] for i, name in enumerate(names)}
    return to_latex(summarise(finals(values), Question(names)))


def test_the_ranking_is_a_booktabs_table_with_its_answer() -> None:
    text = ranked("cosine", "a_b & 5% {c}")
    assert text.index(r"\caption{") < text.index(r"\toprule") < text.index(r"\bottomrule")
    (row,) = [line for line in text.splitlines() if line.strip().startswith("1--2 & c")]
    assert row.endswith(r"\\") and r"97.5 \% [91.1, 100]" in row and row.count("&") == 5
    assert r"a\_b \& 5\% \{c\}" in text and "\n" not in escape("a b")
    assert "Told apart: " not in text and "Intervals of differences are at 95" in text
    assert text.startswith("% Too noisy") and r"\label{" in text and "1--2 & " in text
    assert r"\toprule" in find_latex(found()) and "steepest (used)" in find_latex(found())


def test_every_row_has_as_many_cells_as_the_head() -> None:
    lines = [line for line in ranked("a", "b", "c").splitlines() if line.endswith(r"\\")]
    assert len(lines) == 4 and len({line.count(" & ") for line in lines}) == 1


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_takes_it(tmp_path: Path) -> None:
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "t.tex").write_text(head + ranked(r"x^2 ~ \n", "½…") + r"\end{document}")
    argv = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    subprocess.run(argv, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
