import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.execute import Host, Workbench
from lrbench.options import FindSpec, Recipe
from lrbench.rangetest.curve import in_order
from lrbench.rangetest.find import find_events, range_test
from lrbench.rangetest.probe import Probe
from lrbench.rangetest.result import FindProgress, FindResult
from lrbench.rangetest.suggest import suggest
from lrbench.rangetest.verify import Verification
from tests.rangetest.problems import Quadratic, Task, sgd

PLAIN = FindSpec(points=60, start_lr=1e-4, end_lr=100.0, seeds=(0, 1))


def noisy_line(batch: int = 32, noise: float = 0.3) -> Task:
    """Fit a line through as many noisy points as the batch is large; 2/h is near 1."""

    def loss(model: nn.Module, step: int) -> Any:
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(batch, 2, generator=generator)
        off = noise * torch.randn(batch, 1, generator=generator)
        return (model(x) - x.sum(1, keepdim=True) - off).square().mean()

    return Task(lambda: nn.Linear(2, 1), loss_of=loss)


def gathered(events: Any) -> tuple[list[FindProgress], FindResult]:
    *progress, result = events
    assert isinstance(result, FindResult)
    assert all(isinstance(event, FindProgress) for event in progress)
    return progress, result


def run(spec: FindSpec, task: Any) -> tuple[list[FindProgress], FindResult]:
    return gathered(range_test(sgd(task, spec)))


def test_the_answer_is_stable_and_progress_counts_up_to_its_total_in_every_stage() -> None:
    progress, result = run(PLAIN, noisy_line())
    assert result.lr is not None and result.max_stable_lr is not None
    assert 0.01 < result.lr < result.max_stable_lr and 0.4 < result.max_stable_lr < 2
    assert len(result.trainings) == sum(event.stage != "sweep" for event in progress)
    again = FindResult.from_dict(json.loads(result.to_json()))
    assert again == result and again.to_json() == result.to_json()
    stages = ["sweep", "verify", "stability"]
    counted = [(stages.index(event.stage), event.done) for event in progress]
    assert counted == sorted(set(counted)) and {stage for stage, _ in counted} == {0, 1, 2}
    assert all(event.done <= event.total for event in progress)


@pytest.mark.parametrize("far", [1.0, 60.0])
def test_an_answer_above_the_stable_limit_is_weak_and_the_limit_is_found_below_it(
    far: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_high(*args: Any, **settings: Any) -> Any:
        answer = suggest(*args, **settings)
        assert answer.lr is not None
        return replace(answer, lr=far * answer.lr, grade="ok", reasons=())

    monkeypatch.setattr("lrbench.rangetest.find.suggest", too_high)
    spec = PLAIN.model_copy(update={"verify": False, "max_stable": True})
    progress, result = run(spec, noisy_line())
    assert result.max_stable_lr is not None and 0.4 < result.max_stable_lr < 2
    unstable = any("unstable" in reason for reason in result.reasons)
    assert (unstable, result.grade) == ((False, "ok") if far == 1 else (True, "weak"))
    done = [event.done for event in progress if event.stage == "stability"]
    assert done == sorted(set(done))


def test_with_sgd_a_scaled_loss_over_a_scaled_range_scales_every_answer() -> None:
    scale = 1 / 64
    plain, scaled = noisy_line(), noisy_line()
    scaled.loss_of = lambda model, step: scale * plain.loss_of(model, step)
    changes = {"start_lr": PLAIN.start_lr / scale, "end_lr": PLAIN.end_lr / scale}
    _, first = run(PLAIN, plain)
    _, second = run(PLAIN.model_copy(update=changes), scaled)
    for name in ("lr", "lr_sweep", "max_stable_lr"):
        assert getattr(second, name) == pytest.approx(getattr(first, name) / scale, rel=1e-6)


def test_a_curve_with_an_infinite_loss_still_fits_into_json() -> None:
    task = Task(
        lambda: nn.Linear(1, 1, bias=False),
        loss_of=lambda model, step: model.weight.sum() * (math.inf if step == 30 else 0.0) + 1.0,
    )
    _, result = run(PLAIN, task)
    assert result.grade == "none" and result.lr is None
    assert [p.loss for p in result.curve if p.step == 30] == [None]
    assert json.loads(result.to_json())["lr"] is None


def test_a_validation_loss_of_nan_leaves_no_answer_but_a_result() -> None:
    def loss(model: nn.Module, step: int) -> torch.Tensor:
        return model() * (math.nan if step == 62 else 1.0)

    _, result = run(PLAIN, Task(lambda: Quadratic([1.0, 3.0]), loss_of=loss, val=[62]))
    assert result.lr_sweep is not None and result.lr is None and result.verification is not None
    assert json.dumps(result.to_dict(), allow_nan=False)


def test_short_trainings_decide_where_the_sweep_is_lost_in_noise() -> None:
    spec = PLAIN.model_copy(update={"points": 30, "verify": True, "max_stable": False})
    found = [run(spec, hidden(seed))[1] for seed in range(3)]
    assert all(result.lr_sweep is None and result.grade == "weak" for result in found)
    assert all(result.lr is not None and 0.02 < result.lr < 2 for result in found)


def hidden(first: int) -> Task:
    """A quadratic whose fall is hidden by the differences between batches."""

    def loss(model: nn.Module, step: int) -> Any:
        noise = torch.randn((), generator=torch.Generator().manual_seed(1000 * first + step))
        return model() + (40 * noise if step < 900 else 0.0)

    return Task(lambda: Quadratic([1.0]), loss_of=loss)


def test_equal_seeds_are_swept_once_and_are_no_agreement() -> None:
    once = run(PLAIN, Task(lambda: Quadratic([1.0, 0.1])))[1]
    assert {point.seed for point in once.curve} == {0}
    assert once.band is None and once.grade == "weak"
    assert any(reason.startswith("one curve") for reason in once.reasons)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start_lr": 3.0, "end_lr": 3e3}, "rising"),
        ({"start_lr": 1e-7, "end_lr": 0.02}, "edge"),
        ({"start_lr": 1e-12, "end_lr": 1e-9}, "flat"),
        ({"points": 8}, "too few points"),
        ({"start_lr": 5e-2, "end_lr": 5e2, "mode": "linear"}, "rising"),
    ],
)
def test_following_the_advice_of_a_refusal_leads_to_an_answer(
    changes: dict[str, Any], reason: str
) -> None:
    """Without anything else that is known of the problem; within a few times."""
    spec = FindSpec(seeds=(0, 1), verify=False, max_stable=False).model_copy(update=changes)
    for followed in range(6):
        _, result = run(spec, Task(lambda: Quadratic([1.0, 0.3])))
        if result.lr is not None:
            break
        if not followed:
            assert result.reasons[0].startswith(reason)
        assert result.changes, result.reasons
        spec = spec.model_copy(update=dict(result.changes))
    assert followed and result.lr is not None and 0.01 < result.lr < 1


@pytest.mark.parametrize(("same", "most"), [(0.0, 0.01), (0.8, 1.0)])
def test_an_order_shows_in_how_alike_neighbouring_losses_are(same: float, most: float) -> None:
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((500, 100))
    for place in range(1, 100):
        draws[:, place] += same * draws[:, place - 1]
    share = np.mean([in_order(row) for row in draws])
    assert most - 0.02 <= share <= most
    assert not in_order(np.full(100, 2.3)) and not in_order(np.array([1.0, np.inf, 2.0]))


@pytest.mark.long
def test_real_digits_have_a_defensible_lr_and_a_stable_limit_above_it() -> None:
    """The default range test on real digits, with fewer points and shorter trainings."""
    threads = torch.get_num_threads()
    spec = FindSpec(start_lr=1e-4, points=50, verify_steps=20)
    task = Workbench(spec.recipe, Host(device="cpu", threads=1)).tuning_task
    _, found = gathered(find_events(spec, lambda _: task))
    torch.set_num_threads(threads)
    assert found.grade in ("ok", "weak")
    assert found.lr is not None and 0.015 < found.lr < 0.12
    assert found.lr_sweep is not None and 0.01 < found.lr_sweep < 0.1
    assert found.max_stable_lr is not None and found.lr < found.max_stable_lr < 1
    assert found.settings["recipe"]["dataset"] == "mnist5k"


@pytest.mark.parametrize(("loss", "why"), [(0.9, "unclear"), (1.0, "untrained")])
def test_without_an_answer_it_says_whether_trainings_end_below_their_start(
    loss: float, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Probe(0.1, 0, 64, loss, 0.0)
    equal, losses = (0.1, 0.1), ((0.1, loss),)
    tried = Verification(0.1, False, False, 1.0, equal, losses, "validation", 64, (0,))

    monkeypatch.setattr("lrbench.rangetest.find.verify", lambda *_: iter([probe, tried]))
    _, result = run(PLAIN, noisy_line())
    assert result.lr is None and result.reasons[0].startswith(f"{why}: ")


TABLE = FindSpec(
    recipe=Recipe(weight_decay=0.0, momentum=0.0, batch_size=64),
    points=100, start_lr=1e-4, end_lr=100.0, seeds=(0, 1), verify=False,
)  # fmt: skip


def run_table(**changes: Any) -> tuple[list[FindProgress], FindResult]:
    spec = TABLE.model_copy(update=changes)
    return gathered(find_events(spec, lambda recipe: noisy_line(recipe.batch_size, 0.01)))


def test_there_is_a_row_for_each_pair_and_the_answer_is_that_of_the_recipe_itself() -> None:
    progress, result = run_table(batch_sizes=(16, 64), momenta=(0.0, 0.9))
    rows = {(row["momentum"], row["batch_size"]): row for row in result.table}
    assert list(rows) == [(0.0, 16), (0.0, 64), (0.9, 16), (0.9, 64)]
    assert all(row["lr"] and row["max_stable_lr"] for row in result.table)
    parts = {f"batch {b}, momentum {m}" for b in (16, 64) for m in ("0", "0.9")}
    assert {event.part for event in progress} == parts
    assert result.settings["batch_sizes"] == [16, 64]
    _, alone = run_table()
    small, own = rows[0.0, 16], rows[0.0, 64]
    assert own["lr"] == result.lr == alone.lr and alone.table == ()
    assert own["max_stable_lr"] == result.max_stable_lr
    assert own["lr_sqrt_rule"] == own["lr_linear_rule"] == own["lr"]
    assert small["lr_sqrt_rule"] == pytest.approx(own["lr"] / 2)
    assert small["lr_linear_rule"] == pytest.approx(own["lr"] / 4)


def test_a_row_without_an_answer_says_why_and_starts_no_rule() -> None:
    narrow = {"start_lr": 1e-9, "end_lr": 1e-8, "batch_sizes": (16, 32), "max_stable": False}
    _, result = run_table(**narrow)
    for row in result.table:
        assert row["grade"] == "none" and row["lr"] is None and row["reasons"]
        assert row["lr_sqrt_rule"] is None
