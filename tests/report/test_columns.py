"""A column, a plot, a rule, a renderer: each is one entry, and every output has it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.analysis import Summary, ranking
from lrbench.analysis.diagnosis import RULES, Finding, diagnosis_lines
from lrbench.analysis.tidy import Column
from lrbench.registry import Registry
from lrbench.report.html import compare_page
from lrbench.report.markdown import columns_page, to_markdown
from lrbench.report.plots import PLOTS, plot, write
from lrbench.report.plots.chart import Chart, Line, Panel, floats
from lrbench.report.renderers import RENDERERS, write_all
from lrbench.report.style import looks
from lrbench.report.write_csv import FILES
from tests.report.html.made import several
from tests.report.test_console import shown

DOCS = Path(__file__).parents[2] / "docs"


def test_one_entry_adds_a_column_to_every_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    span = Column(
        "span", "float64", "best seed less worst", lambda e: float(e.values.max() - e.values.min()),
        title="span", form=".4f", view="ranking",
    )  # fmt: skip
    columns = (*ranking.RANKING, span)
    monkeypatch.setattr(ranking, "RANKING", columns)
    monkeypatch.setitem(FILES, "ranking", columns)
    summary = several()
    write_all(summary, tmp_path)
    assert (tmp_path / "ranking.csv").read_text().splitlines()[0].endswith(",span")
    for text in (" ".join(shown(summary, 120).split()), to_markdown(summary)):
        assert " span " in text and "0.0040" in text
    page = compare_page(summary, {})
    assert ">span</th>" in page and "0.0040" in page


def test_the_docs_list_every_column() -> None:
    assert (DOCS / "columns.md").read_text() == columns_page()


def flat(summary: Summary) -> Chart:
    line = Line("flat", looks(["flat"])["flat"], floats([1, 2]), floats([0, 0]), texts=("a", "b"))
    return Chart("a flat line", (Panel((line,), "x", "y"),))


def test_one_function_adds_a_plot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    registry: Registry[Callable[[Summary], Chart | None]] = Registry("plot", PLOTS.package)
    registry.register("flat", "a flat line")(flat)
    monkeypatch.setattr("lrbench.report.plots.PLOTS", registry)
    names = {path.name for path in write(several(), tmp_path, ("png", "svg"))}
    assert names == {"flat.png", "flat.svg"}
    assert plot(several(), "flat").axes[0].get_xlabel() == "x"
    assert "a flat line" in compare_page(several(), {})


def test_one_function_adds_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[Any] = Registry("diagnosis_rule", RULES.package)
    registry.register("always", "always")(lambda history: Finding("it trained", "rejoice"))
    monkeypatch.setattr("lrbench.analysis.diagnosis.RULES", registry)
    summary = several()
    assert set(summary.trials["diagnosis"]) == {"always"}
    assert any(line.endswith("it trained: rejoice") for line in diagnosis_lines(summary.diagnosis))


def test_one_function_adds_a_renderer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def sentence(summary: Summary, folder: Path) -> list[Path]:
        (folder / "sentence.txt").write_text(summary.sentence)
        return [folder / "sentence.txt"]

    registry: Registry[Any] = Registry("renderer", RENDERERS.package)
    registry.register("sentence", "the answer in a file", always=True)(sentence)
    monkeypatch.setattr("lrbench.report.renderers.RENDERERS", registry)
    assert write_all(several(), tmp_path) == [tmp_path / "sentence.txt"]
