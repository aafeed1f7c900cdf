"""The files of a range test: find.csv, find.json, the pictures and the page."""

import csv
import io
from collections.abc import Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from lrbench.files import replace_file
from lrbench.rangetest.result import CurvePoint, FindResult
from lrbench.report.find_plot import find_charts, heading
from lrbench.report.html import find_page
from lrbench.report.html.page import manifest_of
from lrbench.report.plots.draw import figure_of
from lrbench.report.style import render


def write_find(
    result: FindResult, folder: Path, manifest: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write `find.csv`, `find.json`, `plots/find.png` and `.svg`, for a table `plots/find-table.*`,
    and `report.html` into a folder; gives their paths. Its `manifest.json` is read unless it is
    given.

    Raises:
        MachineError: a file cannot be written; the message names it.
    """
    about = manifest_of(folder) if manifest is None else manifest
    figures = {
        name: figure_of(chart, heading=heading(result))
        for name, chart in find_charts(result).items()
    }
    return [
        replace_file(folder / "find.csv", curve_csv(result).encode()),
        replace_file(folder / "find.json", (result.to_json() + "\n").encode()),
        *(
            replace_file(folder / "plots" / f"{name}.{kind}", render(figure, kind))
            for name, figure in figures.items()
            for kind in ("png", "svg")
        ),
        replace_file(folder / "report.html", find_page(result, about).encode()),
    ]


def curve_csv(result: FindResult) -> str:
    """One row for each seed and point, floats in full precision; empty cells are missing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in fields(CurvePoint)])
    writer.writerows(astuple(point) for point in result.curve)
    return out.getvalue()
