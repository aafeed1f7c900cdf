from pathlib import Path

import pytest

from lrbench.analysis import Question, summarise
from lrbench.errors import UsageError
from lrbench.report.renderers import RENDERERS, write_all
from tests.report.html.made import ODD, several
from tests.report.html.test_pages import Reader
from tests.report.test_console import shown


def test_those_that_always_run_write_their_files(tmp_path: Path) -> None:
    assert set(RENDERERS.names()) >= {"csv", "plots", "html", "markdown", "tensorboard"}
    names = {str(path.relative_to(tmp_path)) for path in write_all(several(), tmp_path)}
    assert {"trials.csv", "ranking.csv", "report.html", "plots/final.png", "plots/lr.svg"} <= names
    assert "report.md" not in names and all((tmp_path / name).is_file() for name in names)


def test_unknown_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean markdown"):
        write_all(several(), tmp_path, ["markdwn"])


def test_the_same_trials_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    for name, order in (("one", 1), ("two", -1)):
        paths = write_all(several(order), tmp_path / name, ["markdown"])
        assert tmp_path / name / "report.md" in paths
    for path in (tmp_path / "one").rglob("*.*"):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes(), path.name
        assert b"Matplotlib v" not in path.read_bytes() and b"dc:date" not in path.read_bytes()


@pytest.mark.parametrize("name", ODD)
def test_odd_runs_have_an_answer_a_page_and_pictures(name: str, tmp_path: Path) -> None:
    summary = summarise(ODD[name], Question())
    assert {path.name for path in write_all(summary, tmp_path)} >= {"ranking.csv", "report.html"}
    page = Reader((tmp_path / "report.html").read_text(encoding="utf-8")).text.split()
    answer = " ".join(shown(summary).split())
    assert summary.sentence.endswith(".") and answer.startswith(summary.sentence)
    assert not {"nan", "NaN", "None"} & {*page, *answer.split()}
