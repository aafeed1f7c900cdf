"""The files of a range test: find.csv, find.json, the pictures and the page."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pandas import DataFrame

from lrbench.files import replace_file
from lrbench.rangetest.result import CurvePoint, FindResult
from lrbench.report.find_plot import find_charts, heading
from lrbench.report.html import find_page
from lrbench.report.plots.draw import figure_of
from lrbench.report.style import render
from lrbench.report.write_csv import to_csv


def write_find(
    result: FindResult, folder: Path, manifest: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write `find.csv`, `find.json`, `plots/find.png` and `.svg`, `plots/find-table.*` if there is
    a table, and `report.html` into a folder; returns their paths. `manifest` is the run's.

    Raises:
        MachineError: a file cannot be written; the message names it.
    """
    files = {"find.csv": curve_csv(result).encode(), "find.json": f"{result.to_json()}\n".encode()}
    for name, chart in find_charts(result).items():
        figure = figure_of(chart, heading=heading(result))
        files |= {f"plots/{name}.{kind}": render(figure, kind) for kind in ("png", "svg")}
    files["report.html"] = find_page(result, manifest or {}).encode()
    return [replace_file(folder / name, content) for name, content in files.items()]


def curve_csv(result: FindResult) -> str:
    """One row for each seed and point, floats in full precision; missing values are empty cells."""
    return to_csv(DataFrame(result.curve, columns=[column.name for column in fields(CurvePoint)]))
