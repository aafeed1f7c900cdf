from typing import Any

import pytest

from lrbench.analysis import Question, summarise
from lrbench.options import CompareSpec
from lrbench.report.torch_lines import lines_to_keep, torch_lines
from tests.analysis.made import finals

SPEC = CompareSpec(schedules=("cosine", "linear"), epochs=2)
MANIFEST = {"experiment": SPEC.model_dump(mode="json"), "steps_per_epoch": {"128": 10}}
NOTE = "# Do not rely on it yet: 1 of its final trials did not end well.\n"


@pytest.mark.parametrize(("seeds", "note"), [([0.9, 0.8], ""), ([0.9, None], NOTE)])
def test_the_lines_say_where_the_best_has_lost_seeds_itself(seeds: Any, note: str) -> None:
    summary = summarise(finals({"cosine": seeds, "linear": [0.7, None]}), Question())
    assert summary.best == "cosine"
    assert torch_lines(summary, MANIFEST).startswith(f"{note}# cosine, for 20 steps")


def test_lines_that_the_manifest_keeps_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    summary = summarise(finals({"cosine": [0.9, 0.8], "linear": [0.7, 0.6]}), Question())
    kept = lines_to_keep(summary, MANIFEST)
    first = torch_lines(summary, MANIFEST)
    monkeypatch.setattr("lrbench.report.torch_lines.code", lambda *_, **__: "made again")
    assert torch_lines(summary, {**MANIFEST, "torch_lines": kept}) == first
    assert torch_lines(summary, MANIFEST) == "made again"
