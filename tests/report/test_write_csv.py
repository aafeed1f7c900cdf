import csv
import io
from pathlib import Path

import pandas as pd

from lrbench.analysis import Question, rank, summarise
from lrbench.errors import printable
from lrbench.records import History, StepRecord
from lrbench.report.write_csv import to_csv, write
from tests.analysis.made import finals, history, tuned
from tests.report.hostile import NAMES


def test_the_files_hold_what_the_frames_hold(tmp_path: Path) -> None:
    trials = [*tuned("a", {0.1: 0.9, 0.3: None}), *finals({"a": [0.91, 1 / 3], "b": [0.7, None]})]
    summary = summarise(trials, Question())
    paths = write(summary, tmp_path)
    assert [p.name for p in paths] == ["trials.csv", "epochs.csv", "ranking.csv", "sensitivity.csv"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    with open(tmp_path / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["test_accuracy"] or 0) for row in rows] == [0, 0, 0.91, 1 / 3, 0.7, 0]
    read = pd.read_csv(tmp_path / "trials.csv")
    pd.testing.assert_frame_equal(rank(read, Question()), summary.ranking, check_dtype=False)


def test_a_reference_and_recorded_steps_have_files(tmp_path: Path) -> None:
    one = history("a", 0.9)
    stepped = History(one.spec, one.epochs, (StepRecord("t", 0, 0, 0.1, None, 2.0),), end=one.end)
    summary = summarise([stepped, history("b", 0.8)], Question(reference="a"))
    assert {"steps.csv", "reference.csv"} <= {path.name for path in write(summary, tmp_path)}
    expected = "trial,step,group,lr,momentum,train_loss\nt,0,0,0.1,,2.0\n"
    assert (tmp_path / "steps.csv").read_text() == expected


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = [name for name in NAMES if name]
    write(summarise(finals({name: [0.9] for name in names}), Question()), tmp_path)
    raw = (tmp_path / "trials.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(raw, newline="")))
    assert len(rows) == len(names)
    for row in rows:
        assert not row["schedule"].startswith(("=", "+", "-", "@", "\t", "\r"))
        assert row["schedule"].removeprefix("'") in map(printable, names)
        assert float(row["lr"]) == 0.1


def test_numbers_below_zero_stay_numbers() -> None:
    assert to_csv(pd.DataFrame({"x": [-0.5], "y": ["-0.5"]})) == "x,y\n-0.5,'-0.5\n"
