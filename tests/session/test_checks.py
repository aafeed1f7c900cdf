import pytest

from lrbench.inputs import compare_spec
from lrbench.options import CompareSpec
from lrbench.session.checks import check_schedules, spec_notices


@pytest.mark.parametrize(("steps", "warned"), [(4, True), (5, False)])
def test_trainings_of_a_handful_of_steps_are_warned_of_before_they_start(
    steps: int, warned: bool
) -> None:
    spec = CompareSpec(schedules=("constant", "linear"), epochs=2)
    notices = check_schedules(spec, {spec.recipe.batch_size: steps})
    said = [str(notice) for notice in notices if "so few" in str(notice)]
    assert len(said) == warned and all("a trial has 8 steps" in text for text in said)


def test_an_arm_of_few_steps_is_named() -> None:
    spec = compare_spec({"arm": ["big: batch_size=512"], "epochs": 2})
    said = " ".join(map(str, check_schedules(spec, {spec.recipe.batch_size: 100, 512: 4})))
    assert "a trial of big has 8 steps" in said and "a trial has" not in said


@pytest.mark.parametrize(("lr", "warned"), [("auto", False), ("0.05,0.1", True)])
def test_an_optimizer_at_the_lrs_of_another_is_named(lr: str, warned: bool) -> None:
    spec = compare_spec({"arm": ["adamw: optimizer=adamw", "nesterov: nesterov=true"], "lr": lr})
    said = [str(notice) for notice in spec_notices(spec, {})]
    named = [text for text in said if text.startswith("adamw: another optimizer, tried at the LRs")]
    assert len(named) == warned
