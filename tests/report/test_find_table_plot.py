from pathlib import Path

from matplotlib.figure import Figure

from lrbench.report.find_files import write_find
from lrbench.report.find_plot import against_chart
from lrbench.report.html import find_page
from lrbench.report.plots.draw import figure_of
from tests.report.find_results import found, tabled


def drawn() -> Figure:
    return figure_of(against_chart(tabled().table))


def test_there_is_a_panel_for_batch_size_and_one_for_momentum() -> None:
    assert [ax.get_xlabel() for ax in drawn().axes] == ["batch size", "momentum"]


def test_answers_limits_and_both_rules_are_drawn() -> None:
    labels = drawn().axes[0].get_legend_handles_labels()[1]
    for words in ("answer, momentum 0.9", "largest stable", "square-root rule", "linear rule"):
        assert any(words in label for label in labels), words


def test_a_rule_goes_through_the_recipes_own_batch_size() -> None:
    lines = {str(line.get_label()): line for line in drawn().axes[0].lines}
    x, y = (list(data) for data in lines["linear rule"].get_data())
    assert x == [32, 128, 512] and y == [0.025, 0.1, 0.4]
    x, y = (list(data) for data in lines["square-root rule"].get_data())
    assert y == [0.05, 0.1, 0.2]


def test_a_cell_without_an_answer_leaves_a_gap() -> None:
    lines = {str(line.get_label()): line for line in drawn().axes[0].lines}
    assert list(lines["answer, momentum 0"].get_xdata()) == [32, 128]


def test_it_is_written_only_for_a_table(tmp_path: Path) -> None:
    assert "find-table.png" not in {path.name for path in write_find(found(), tmp_path)}
    assert {"find-table.png", "find-table.svg"} <= {p.name for p in write_find(tabled(), tmp_path)}


def test_the_page_and_the_terminal_show_the_table_too() -> None:
    page = find_page(tabled(), {})
    assert "Against batch size and momentum" in page
    assert "Against batch size" not in find_page(found(), {})
    for heading in ("sqrt rule", "linear rule", "largest stable"):
        assert heading in page
