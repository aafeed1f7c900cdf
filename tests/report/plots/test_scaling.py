"""The plot and the table of the best LR against the length, of optima whose truth is known."""

import numpy as np
import pytest

from lrbench.report import compared, plots
from tests.analysis.made import lengths


def test_optima_and_bounds_lie_where_they_were_found() -> None:
    law = (summary := lengths({1: 5.0, 2: 0.16, 4: 0.08, 8: 0.04})).laws[0]
    axes = plots.plot(summary, "scaling").axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    ring = next(line for line in axes.lines if line.get_markerfacecolor() == "none")
    assert ring.get_xdata() == pytest.approx([1]) and ring.get_ydata() == pytest.approx([1.28])
    known = {each.size: each.lr for each in law.optima if not each.why}
    assert law.line is not None and set(known) == {2, 4, 8}
    drawn = next(line for line in axes.lines if len(line.get_xdata()) == 30)
    expected = [law.line.at(size)[0] for size in np.geomspace(1, 32, 30)]
    assert drawn.get_ydata() == pytest.approx(expected)
    assert "to a factor" not in axes.get_title("left")


def test_the_table_shows_bounds_in_brackets() -> None:
    shown = compared.scaling_table(lengths({1: 5.0, 2: 0.16, 4: 0.08, 8: 0.04}))
    (row,) = shown.rows
    assert "[1: 1.28], 2: 0.1" in row[1].text and shown.heads[-2] == "LR there"


def test_a_band_that_says_nothing_hides_no_optimum() -> None:
    summary = lengths({1: 0.04, 2: 0.16, 4: 0.04})
    line = summary.laws[0].line
    assert line is not None and line.at(32)[2] > 1000 * line.at(32)[0]
    axes = plots.plot(summary, "scaling").axes[0]
    low, high = axes.get_ylim()
    assert low > 0.04 / 50 and high < 0.16 * 50
    assert axes.get_title("left").endswith("bands cut at a factor of 10")
