from typing import Any

import pytest
import torch
from torch import nn

from lrbench.options import FindSpec, Recipe
from lrbench.rangetest.find import find_events
from lrbench.rangetest.result import FindProgress, FindResult
from tests.rangetest.problems import Task

SPEC = FindSpec(
    recipe=Recipe(weight_decay=0.0, momentum=0.0, batch_size=64),
    points=100, start_lr=1e-4, end_lr=100.0, seeds=(0, 1), verify=False,
)  # fmt: skip


def line_task(recipe: Recipe) -> Task:
    """Fit a line through as many noisy points as the batch is large; 2/h is near 1."""

    def loss(model: nn.Module, step: int) -> Any:
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(recipe.batch_size, 2, generator=generator)
        noise = 0.01 * torch.randn(recipe.batch_size, 1, generator=generator)
        return (model(x) - x.sum(1, keepdim=True) - noise).square().mean()

    return Task(lambda: nn.Linear(2, 1), loss_of=loss)


def run(spec: FindSpec) -> tuple[list[FindProgress], FindResult]:
    *progress, result = find_events(spec, line_task)
    assert isinstance(result, FindResult)
    return progress, result  # type: ignore[return-value]


@pytest.fixture(scope="module")
def whole() -> tuple[list[FindProgress], FindResult]:
    return run(SPEC.model_copy(update={"batch_sizes": (16, 64), "momenta": (0.0, 0.9)}))


def test_there_is_a_row_for_each_pair(whole: Any) -> None:
    rows = whole[1].table
    assert [(row["momentum"], row["batch_size"]) for row in rows] == [
        (0.0, 16), (0.0, 64), (0.9, 16), (0.9, 64),
    ]  # fmt: skip
    assert all(row["lr"] and row["max_stable_lr"] for row in rows)
    assert {event.part for event in whole[0]} == {
        f"batch {b}, momentum {m}" for b in (16, 64) for m in ("0", "0.9")
    }


def test_the_answer_is_that_of_the_recipe_itself(whole: Any) -> None:
    result = whole[1]
    row = result.table[1]
    assert (row["lr"], row["max_stable_lr"]) == (result.lr, result.max_stable_lr)
    _, alone = run(SPEC)
    assert alone.lr == result.lr and alone.table == ()
    assert result.settings["batch_sizes"] == [16, 64]


def test_the_rules_start_from_the_recipes_batch_size(whole: Any) -> None:
    small, large = whole[1].table[:2]
    assert large["lr_sqrt_rule"] == large["lr_linear_rule"] == large["lr"]
    assert small["lr_sqrt_rule"] == pytest.approx(large["lr"] / 2)
    assert small["lr_linear_rule"] == pytest.approx(large["lr"] / 4)


def test_a_row_without_an_answer_says_why_and_starts_no_rule() -> None:
    narrow = {"start_lr": 1e-9, "end_lr": 1e-8, "batch_sizes": (16, 32), "max_stable": False}
    _, result = run(SPEC.model_copy(update=narrow))
    for row in result.table:
        assert row["grade"] == "none" and row["lr"] is None and row["reasons"]
        assert row["lr_sqrt_rule"] is None
