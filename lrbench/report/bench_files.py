"""A benchmark as a CSV file: a row for each loop and each switch."""

from __future__ import annotations

from pathlib import Path

from lrbench.bench.result import Result
from lrbench.files import replace_file
from lrbench.report.csv_files import to_csv


def write_bench(result: Result, path: Path) -> Path:
    """Raises MachineError: the file cannot be written."""
    from pandas import DataFrame

    return replace_file(path, to_csv(DataFrame(result.rows())).encode())
