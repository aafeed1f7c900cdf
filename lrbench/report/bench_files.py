"""A benchmark as a CSV file: a row for each loop and each switch, or for each finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrbench.files import replace_file
from lrbench.report.csv_files import to_csv


def write_bench(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Raises MachineError: the file cannot be written."""
    from pandas import DataFrame

    return replace_file(path, to_csv(DataFrame(rows)).encode())
