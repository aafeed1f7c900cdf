"""A result in a notebook: answer, tables and plot, in colours that suit any theme."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from markupsafe import Markup

from lrbench.analysis import Summary
from lrbench.report import compared, found
from lrbench.report.find_plot import heading, sweep_chart
from lrbench.report.html.page import fill
from lrbench.report.plots.chart import Chart
from lrbench.report.plots.draw import figure_of
from lrbench.report.plots.final import final_plot
from lrbench.report.style import render
from lrbench.report.table import Table

if TYPE_CHECKING:
    from lrbench.rangetest.result import FindResult


def compare_cell(summary: Summary) -> str:
    tables = [compared.ranking_table(summary)] if len(summary.ranking) else []
    return _cell(summary.sentence, tables, final_plot(summary))


def find_cell(result: FindResult) -> str:
    tables = [found.rules_table(result), found.trainings_table(result)]
    return _cell(heading(result), tables, sweep_chart(result))


def _cell(head: str, tables: list[Table], chart: Chart | None) -> str:
    picture = b"" if chart is None else render(figure_of(chart))
    return fill(
        "notebook.html.j2",
        head=head,
        tables=[made for made in tables if made.rows],
        picture=Markup(base64.b64encode(picture).decode()),
    )
