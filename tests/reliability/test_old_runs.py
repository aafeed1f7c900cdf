"""Runs that older versions wrote stay readable. A new schema adds a folder; none is taken away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.run.manifest import SCHEMA_VERSION
from tests.reliability.tools import table

RUNS = Path(__file__).parents[1] / "assets" / "runs"
SAMPLES = sorted(path for path in RUNS.glob("schema-*/*") if path.is_dir())


def test_every_schema_has_its_samples() -> None:
    found = {path.parent.name for path in SAMPLES}
    assert found == {f"schema-{number}" for number in range(1, SCHEMA_VERSION + 1)}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: "-".join(path.parts[-2:]))
def test_report_gives_the_numbers_of_its_time(sample: Path, tmp_path: Path, capsys: Any) -> None:
    copy = tmp_path / "run"
    shutil.copytree(sample, copy)
    for old in copy.glob("*.csv"):
        old.unlink()
    assert run(["report", str(copy), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document
    for old in sample.glob("*.csv"):
        for before, now in zip(table(old), table(copy / old.name), strict=True):
            assert {key: now[key] for key in before if recorded(old.name, key)} == {
                key: value for key, value in before.items() if recorded(old.name, key)
            }


def recorded(file: str, column: str) -> bool:
    """What was measured then; statistics over it may be done better one day."""
    if file != "ranking.csv":
        return column not in ("epochs_to_target", "time_to_target_s")
    return column in ("schedule", "lr", "n", "failed", "metric_mean", "test_accuracy_mean")
