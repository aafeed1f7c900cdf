import csv
import json
from pathlib import Path

import pytest

from lrbench.errors import MachineError
from lrbench.rangetest.result import FindResult
from lrbench.report.find_files import write_find
from tests.report.find_results import found, not_found


@pytest.mark.parametrize("result", [found(), not_found()], ids=["found", "not found"])
def test_the_files_are_written_and_the_json_is_the_result(
    result: FindResult, tmp_path: Path
) -> None:
    paths = write_find(result, tmp_path / "run")
    names = "find.csv find.json plots/find.png plots/find.svg report.html"
    assert [str(path.relative_to(tmp_path / "run")) for path in paths] == names.split()
    assert all(path.stat().st_size for path in paths)
    text = paths[1].read_text()
    assert FindResult.from_dict(json.loads(text)) == result
    assert "NaN" not in text and "Infinity" not in text


def test_the_csv_has_every_point_in_full_precision(tmp_path: Path) -> None:
    text = write_find(found(), tmp_path)[0].read_bytes().decode()
    assert "\r" not in text
    head, *rows = csv.reader(text.splitlines())
    assert head == ["seed", "step", "lr", "loss", "smoothed"] and len(rows) == 290
    points = [(p.seed, p.step, p.lr, p.loss, p.smoothed) for p in found().curve]
    assert rows == [["" if x is None else repr(x) for x in point] for point in points]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match=r"\A[^\n]*cannot write[^\n]*\Z"):
        write_find(found(), tmp_path / "file")


def test_a_notebook_shows_a_result_in_three_lines_or_as_tables_with_a_picture() -> None:
    for result in (found(), not_found()):
        lines = repr(result).splitlines()
        assert len(lines) == 3 and f"grade {result.grade}" in lines[0] and ".plot()" in lines[2]
        page = result._repr_html_()
        assert f"grade {result.grade}" in page and "data:image/png;base64,iVBOR" in page
    assert "steepest" in found()._repr_html_() and "<script" not in found()._repr_html_()
