"""Specs: equal values have equal texts, and only what may grow does."""

from typing import Any

import pytest
from pydantic import ValidationError

from lrbench.options import CompareSpec, FindSpec, Recipe, TrialSpec, canonical, differences


def trial(**changes: object) -> TrialSpec:
    fields = {"schedule": "cosine", "lr": 0.1, "seed": 0, "stage": "tune", "epochs": 2}
    return TrialSpec.model_validate({"recipe": Recipe(), **fields, **changes})


def test_everything_that_can_change_a_number_changes_the_id() -> None:
    recipes = [
        {"dataset": "mnist"}, {"model": "mlp"}, {"optimizer": "adam"}, {"momentum": 0.8},
        {"nesterov": True}, {"weight_decay": 0}, {"batch_size": 64}, {"precision": "bf16"},
        {"augment": "none"}, {"val_fraction": 0.2}, {"groups": ("*.bias lr=2x",)},
    ]  # fmt: skip
    others = [{"schedule": "linear"}, {"lr": 0.2}, {"seed": 1}, {"stage": "final"}, {"epochs": 3}]
    changes = [{}, *others, *({"recipe": Recipe(**change)} for change in recipes)]
    assert len({trial(**change).id for change in changes}) == len(changes)


@pytest.mark.parametrize("lr", [0, -1, float("nan"), float("inf")])
def test_a_learning_rate_is_a_finite_number_above_zero(lr: float) -> None:
    with pytest.raises(ValidationError):
        trial(lr=lr)


@pytest.mark.parametrize(
    ("several", "typed", "aim"),
    [
        ({"budgets": (1, 2, 4)}, "16ep", ("epochs", 16)),
        ({"budgets": (1, 2, 4)}, 16, ("epochs", 16)),
        ({"batch_sizes": (32, 64, 128)}, "512", ("batch size", 512)),
        ({"budgets": (1, 2), "batch_sizes": (32, 64, 128)}, "512", ("batch size", 512)),
    ],
)
def test_what_is_extrapolated_fits_the_unit(several: Any, typed: Any, aim: tuple[str, int]) -> None:
    assert CompareSpec.model_validate({**several, "extrapolate": typed}).aim == aim


def test_the_fingerprint_is_blind_to_what_may_grow_and_to_nothing_else() -> None:
    spec = CompareSpec(schedules=("cosine",))
    assert spec.fingerprint == CompareSpec(schedules=("linear",), seeds=9).fingerprint
    lengths = {"schedules": ("cosine",), "budgets": (1, 2, 4)}
    asked = CompareSpec.model_validate({**lengths, "extrapolate": 40})
    assert spec.fingerprint == asked.fingerprint
    assert spec.fingerprint != CompareSpec(schedules=("cosine",), epochs=4).fingerprint
    assert spec.fingerprint != CompareSpec(schedules=("cosine",), lrs=(0.1,)).fingerprint


def test_growing_keeps_what_was_there() -> None:
    old = CompareSpec(schedules=("cosine", "linear"), seeds=5, lrs=(0.1,))
    new = CompareSpec(schedules=("step",), seeds=2, lrs=(0.2,)).grown_from(old)
    assert new.schedules == ("cosine", "linear", "step")
    assert (new.seeds, new.lrs) == (5, (0.1, 0.2))


def test_differences_name_the_options_that_set_the_fields() -> None:
    old = {"recipe": {"groups": []}, "halving": False, "find": {"points": 100}, "batch_sizes": []}
    new = {"recipe": {"groups": ["a"]}, "halving": True, "find": {"points": 75}, "batch_sizes": [8]}
    options = ["--group none -> a", "--tuner off -> on", "--range-test points 100 -> 75"]
    assert differences(old, new, CompareSpec) == [*options, "--batch-size none -> 8"]
    sizes = [{"batch_sizes": [8]}, {"batch_sizes": []}]
    assert differences(*sizes, FindSpec) == ["--batch-sizes 8 -> none"]


def test_a_field_that_an_older_run_lacks_differs_only_when_it_is_on() -> None:
    off = {"compile": False, "ema": None, "groups": []}
    assert differences({"a": {}}, {"a": off}, CompareSpec) == []
    assert differences({}, {"compile": True}, CompareSpec) == ["--compile none -> on"]
    assert differences({"verify": None}, {"verify": False}, CompareSpec) == ["--verify none -> off"]


def test_what_is_off_has_no_part_in_the_canonical_text_and_zero_is_not_off() -> None:
    assert canonical({"a": None, "b": False, "c": (), "d": {"e": None}}) == "{}"
    assert canonical({"momentum": 0.0, "seed": 0}) == '{"momentum":0.0,"seed":0}'
