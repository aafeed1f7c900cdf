"""The files of a range test: find.csv, find.json and the picture."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, fields
from pathlib import Path

from lrbench.files import replace_file
from lrbench.rangetest.result import CurvePoint, FindResult
from lrbench.report.find_plot import save_find_plot


def write_find(result: FindResult, folder: Path) -> list[Path]:
    """Write `find.csv`, `find.json` and `plots/find.png` into a folder; gives their paths.

    Raises:
        MachineError: a file cannot be written; the message names it.
    """
    return [
        replace_file(folder / "find.csv", curve_csv(result).encode()),
        replace_file(folder / "find.json", (result.to_json() + "\n").encode()),
        save_find_plot(result, folder / "plots" / "find.png"),
    ]


def curve_csv(result: FindResult) -> str:
    """One row for each seed and point, floats in full precision; empty cells are missing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in fields(CurvePoint)])
    writer.writerows(astuple(point) for point in result.curve)
    return out.getvalue()
