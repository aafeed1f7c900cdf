"""The plan as a table."""

from typing import Any

import pytest

from lrbench.options import CompareSpec
from lrbench.report.plan import plan_table
from lrbench.session.size import estimate_s, fit, work
from tests.report.test_schedules import shown


def test_it_counts_and_fits_80_columns() -> None:
    spec = CompareSpec(
        schedules=("constant", "cosine"), lrs=(0.1, 0.2), epochs=3, seeds=4, tuning_seeds=1,
        halving=True,
    )  # fmt: skip
    stages = work(spec, {128: 28})
    assert stages["tune"] == {"trials": 4, "steps": 4 * 84, "images": 4 * 84 * 128}
    assert stages["final"]["trials"] == 8 and stages["find"]["trials"] == 0
    total = {key: sum(s[key] for s in stages.values()) for key in ("trials", "steps", "images")}
    text = shown(plan_table(spec, stages, total, "3 min 20 s", {128: 28}))
    assert "129,024" in text and "3 min 20 s" in text and "0.1, 0.2" in text
    assert "tuner halving" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_schedule_that_names_its_lr_is_not_tuned() -> None:
    spec = CompareSpec(
        schedules=("constant", "OneCycleLR(max_lr=0.1, total_steps=84)"), lrs=(0.1, 0.2)
    )
    assert work(spec, {128: 28})["tune"]["trials"] == 2 * spec.tuning_seeds


LONG = {"seeds": 20, "epochs": 3, "time_budget_s": 60.0}


@pytest.mark.parametrize(
    ("asked", "found", "more"),
    [
        ({"seeds": 5, "time_budget_s": 600.0}, {"seeds": 5}, {"epochs": 1}),
        ({"seeds": 5, "time_budget_s": 8.0}, {"seeds": 3}, {"seeds": 2}),
        (LONG, {"seeds": 10, "epochs": 3}, {"seeds": 10}),
    ],
    ids=["used and kept", "seeds are given up first", "epochs are kept before many seeds"],
)
def test_a_time_budget(asked: Any, found: Any, more: Any) -> None:
    spec = fit(CompareSpec(lrs=(0.1,), **asked), {128: 28}, 0.01)
    fields = spec.model_dump()
    assert {name: fields[name] for name in found} == found
    assert estimate_s(spec, work(spec, {128: 28}), 0.01) <= asked["time_budget_s"]
    longer = spec.model_copy(update={name: fields[name] + value for name, value in more.items()})
    assert estimate_s(longer, work(longer, {128: 28}), 0.01) > asked["time_budget_s"]
