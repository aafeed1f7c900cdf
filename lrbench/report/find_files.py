"""The files of a range test: find.csv, find.json and the picture."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields
from pathlib import Path

from lrbench.rangetest.result import CurvePoint, FindResult
from lrbench.report.find_plot import save_find_plot


def write_find(result: FindResult, folder: Path) -> list[Path]:
    """Write `find.csv`, `find.json` and `plots/find.png` into a folder; gives their paths."""
    table, document, picture = (
        folder / name for name in ("find.csv", "find.json", "plots/find.png")
    )
    picture.parent.mkdir(parents=True, exist_ok=True)
    write_curve(result, table)
    document.write_text(result.to_json() + "\n", encoding="utf-8")
    save_find_plot(result, picture)
    return [table, document, picture]


def write_curve(result: FindResult, path: Path) -> None:
    """One row for each seed and point, floats in full precision; empty cells are missing."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in fields(CurvePoint)])
        writer.writerows(astuple(point) for point in result.curve)
