from lrbench.analysis import Question, summarise
from lrbench.report.markdown import find_markdown, to_markdown
from tests.analysis.made import finals
from tests.report.find_results import found, not_found
from tests.report.hostile import NAMES
from tests.report.html.made import several


def test_the_ranking_is_a_table_under_its_sentence() -> None:
    lines = to_markdown(several()).splitlines()
    assert lines[0].startswith("**") and "cosine" in lines[0]
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 2 + 3
    assert rows[2].startswith("| 1-3 | cosine | 0.1 | 97.20 ± 0.50 % | best | 3 |")
    assert "2, 1 failed" in rows[4]


def test_hostile_names_make_no_markup() -> None:
    names = [name for name in (*NAMES, "a|b", "<b>x</b>", "![i](u)") if name]
    text = to_markdown(summarise(finals({name: [0.9, 0.8] for name in names}), Question()))
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == len(names)
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}
    assert "<b>" not in text and "![i](" not in text and "\x1b" not in text


def test_a_range_test() -> None:
    text = find_markdown(found())
    assert "(grade ok)" in text and "| steepest (used) | " in text and "| largest stable | " in text
    assert "- flat: nothing" in find_markdown(not_found("flat: nothing"))
