"""Arms as they are typed: what they stand for, what is refused, and that they are typed back."""

from typing import Any

import pytest

from lrbench.errors import UsageError
from lrbench.inputs import all_options, compare_spec
from lrbench.options import CompareSpec, Recipe, TrialSpec

BIG = "big batch: batch_size=512 lr_scaling=sqrt"
WARM = "warm: clip_norm=1 schedule='warmup(5%) + linear'"


def entered(*arms: str, **options: Any) -> CompareSpec:
    return compare_spec({"arm": arms, "schedule": ["cosine"], **options})


def test_an_arm_is_the_recipe_with_its_settings() -> None:
    spec = entered(BIG, WARM, "adamw: optimizer=adamw", weight_decay=1e-3)
    assert spec.entrants == ("cosine", "big batch", "warm", "adamw")
    big, warm, adamw = (spec.entered[name] for name in spec.entrants[1:])
    assert big.recipe(spec.recipe) == spec.recipe.model_copy(update={"batch_size": 512})
    assert big.lr_factor(spec.recipe) == 4  # the square root of 512 / 32
    assert warm.schedule == "warmup + linear" and warm.recipe(spec.recipe).clip_norm == 1
    assert adamw.recipe(spec.recipe).weight_decay == 0.01, "AdamW's default is its own"


def test_with_several_schedules_it_is_trained_under_each() -> None:
    spec = entered(BIG, WARM, schedule=["cosine", "constant"], reference="big batch: cosine")
    crossed = ("big batch: cosine", "big batch: constant")
    assert spec.entrants == ("cosine", "constant", *crossed, "warm")


def test_the_name_of_an_optimizer_stands_for_it_at_a_constant_lr() -> None:
    arm = entered("adamw").entered["adamw"]
    assert (arm.schedule, arm.recipe(Recipe()).optimizer) == ("constant", "adamw")


def test_a_setting_can_be_switched_off() -> None:
    spec = entered("free: clip_norm=none", clip_norm=1.0)
    assert spec.entered["free"].recipe(spec.recipe).clip_norm is None


@pytest.mark.parametrize("lr", ["auto", "0.1,0.2"])
def test_it_is_typed_back(lr: str) -> None:
    spec = entered(BIG, WARM, "adamw", "opt: opt=dampening=0.1", lr=lr, reference="warm")
    assert compare_spec(all_options(spec)) == spec
    assert CompareSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("a: batchsize=3", "unknown setting 'batchsize'; did you mean batch_size?"),
        ("a: batch_size=x", "--batch-size x: give whole numbers"),
        ("a: momentum=2", "--momentum 2: must be less than 1"),
        ("a: batch_size=64,128", "an arm has one; write one arm for each"),
        ("a: schedule=cosne", "did you mean cosine?"),
        ("a: schedule=warmup(5%) + cosine", "quote a value"),
        ("a: clip_norm='1", "quotation mark"),
        ("a: clip_norm=1 clip_norm=2", "given twice"),
        ("a: momentum=0.9", "--arm a changes nothing: it equals 'cosine'"),
        ("a: schedule=cosine", "changes nothing"),
        ("a: ema=0.9", "ema changes no ranking"),
        ("a: epochs=5", "the same for all entries: use --epochs"),
        ("a: dataset=mnist", "dataset is the same"),
        ("a: val_fraction=0.2", "val_fraction is the same"),
        ("a: precision=tf32", "whole process"),
        ("a: lr_scaling=cubic", "lr_scaling cubic"),
        ("cosine: clip_norm=1", "a schedule has this name"),
        ("adm", "did you mean adam"),
        ("batch_size=512", "write it like 'big batch"),
        ("a:", "write it like 'big batch"),
        (": clip_norm=1", "write it like 'big batch"),
        (f"{'a' * 61}: clip_norm=1", "must have at most 60 characters"),
        (BIG, "two arms of this name"),
        ("bigger: batch_size=512", "it equals 'big batch'"),
    ],
)
def test_what_cannot_be_ranked_is_one_line(arm: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        entered("big batch: batch_size=512", arm)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("--arm ")


def test_losses_of_other_kinds_are_not_ranked_and_batches_not_crossed() -> None:
    own = "own: loss=torch.nn:MultiMarginLoss"
    assert entered(own).entrants
    with pytest.raises(UsageError, match="another loss"):
        entered(own, metric="test_loss")
    with pytest.raises(UsageError, match="--batch-size has several values"):
        entered(BIG, batch_size="64,128")
    with pytest.raises(UsageError, match="SCHEDULE @ LR"):
        entered(BIG, schedule=["cosine @ 0.1"])


def test_trials_keep_their_ids() -> None:
    fields = {"schedule": "cosine", "lr": 0.1, "seed": 0, "stage": "final", "epochs": 3}
    trial = TrialSpec(recipe=Recipe(), **fields)
    assert trial.id == "9df61f2a1591", "the id that it had before there were arms"
