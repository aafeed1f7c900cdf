"""Other threads, another torch, another device: refused, forced, and told."""

from typing import Any

import pytest

from lrbench.errors import UsageError
from lrbench.options import Recipe, TrialSpec
from lrbench.records import History, TrialEnd
from lrbench.run.conditions import carried_on, differences, notices

HERE = {"device": "cpu", "threads": 2, "torch": "2.15.0", "python": "3.13.1"}
BEGUN: dict[str, Any] = {"machine": HERE}


@pytest.mark.parametrize(
    "other", [{"threads": 1}, {"torch": "2.16.0"}, {"device": "cuda"}, {"deterministic": True}]
)
def test_what_bits_depend_on_is_refused_unless_forced(other: dict[str, Any]) -> None:
    (name,) = other
    said = f"{name} {HERE.get(name, False)} -> {other[name]}"
    with pytest.raises(UsageError, match="started under other conditions") as caught:
        carried_on(BEGUN, {**HERE, **other}, force=False)
    assert said in str(caught.value) and "--force" in str(caught.value)
    assert carried_on(BEGUN, {**HERE, **other}, force=True) == {"forced": [said]}
    # what was forced once may go on without being forced again
    assert carried_on({**BEGUN, "forced": [said]}, {**HERE, **other}, force=False) == {
        "forced": [said]
    }


def test_what_bits_do_not_depend_on_is_let_through() -> None:
    assert carried_on(BEGUN, {**HERE, "python": "3.11.0"}, force=False) == {}
    assert differences({}, HERE) == [] and differences({}, {"deterministic": True}) == []
    assert differences(HERE, {**HERE, "deterministic": False}) == []


def ended(machine: dict[str, Any]) -> History:
    spec = TrialSpec(recipe=Recipe(), schedule="cosine", lr=1, seed=0, stage="final", epochs=1)
    return History(spec, end=TrialEnd(spec.id, "done", machine=machine))


def test_reports_say_under_which_conditions_trials_were_trained() -> None:
    assert notices(BEGUN, [ended(HERE), ended(HERE)]) == []
    (mixed,) = notices(BEGUN, [ended(HERE), ended({**HERE, "threads": 1})])
    assert "threads 1, torch 2.15.0 (1 trials); device cpu, threads 2" in mixed.message
    assert notices(BEGUN, [ended(HERE), ended({**HERE, "deterministic": False})]) == []
    (apart,) = notices(BEGUN, [ended(HERE), ended({**HERE, "deterministic": True})])
    assert "torch 2.15.0, deterministic True (1 trials)" in apart.message
    (forced,) = notices({**BEGUN, "forced": ["threads 2 -> 1"]}, [ended(HERE)])
    assert "threads 2 -> 1" in forced.message
    (invented,) = notices(BEGUN, [ended({"device": "mock"})])
    assert "1 trials were invented" in invented.message
