import csv
import json
from pathlib import Path

import pytest

from lrbench.errors import MachineError
from lrbench.rangetest.result import FindResult
from lrbench.report.find_files import write_find
from tests.report.find_results import found, not_found


def test_the_files_are_written(tmp_path: Path) -> None:
    paths = write_find(found(), tmp_path / "run")
    names = [str(path.relative_to(tmp_path / "run")) for path in paths]
    assert names == [
        "find.csv", "find.json", "plots/find.png", "plots/find.svg", "report.html",
    ]  # fmt: skip
    assert all(path.stat().st_size for path in paths)


def test_the_csv_has_every_point_in_full_precision(tmp_path: Path) -> None:
    result = found()
    path = write_find(result, tmp_path)[0]
    assert b"\r" not in path.read_bytes()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["seed", "step", "lr", "loss", "smoothed"]
    assert len(rows) == len(result.curve) == 290
    assert [float(row["lr"]) for row in rows] == [point.lr for point in result.curve]
    assert rows[-1]["loss"] == rows[-1]["smoothed"] == ""
    assert (rows[0]["loss"], rows[0]["smoothed"]) == (
        repr(result.curve[0].loss),
        repr(result.curve[0].smoothed),
    )


@pytest.mark.parametrize("result", [found(), not_found()], ids=["found", "not found"])
def test_the_json_is_the_result(result: FindResult, tmp_path: Path) -> None:
    text = write_find(result, tmp_path)[1].read_text()
    assert FindResult.from_dict(json.loads(text)) == result
    assert "NaN" not in text and "Infinity" not in text


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write") as caught:
        write_find(found(), tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_a_notebook_shows_a_result_in_three_lines_or_as_tables_with_a_picture() -> None:
    for result in (found(), not_found()):
        lines = repr(result).splitlines()
        assert len(lines) == 3 and f"grade {result.grade}" in lines[0] and ".plot()" in lines[2]
        page = result._repr_html_()
        assert f"grade {result.grade}" in page and "data:image/png;base64,iVBOR" in page
    assert "steepest" in found()._repr_html_() and "<script" not in found()._repr_html_()
