"""Accumulated, clipped and averaged steps, held against torch and against the large batch."""

from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lrbench.engine.clock import ramp
from lrbench.engine.method import PLAIN, Average, grouped
from lrbench.engine.train import begin, steps, train
from lrbench.errors import UsageError
from lrbench.execute import Host, Workbench
from lrbench.options import Recipe
from lrbench.records import EpochRecord
from tests.engine.tools import records, steps_of
from tests.toys import Line, trial

DIGITS = {"dataset": "synthetic", "model": "mlp"}


@cache
def bench() -> Workbench:
    return Workbench(Recipe(**DIGITS), Host(device="cpu", threads=1))


def first_losses(recipe: Recipe) -> list[float | None]:
    task = bench().at(recipe).tuning_task
    found = records(task, trial(recipe=recipe, lr=0.01, epochs=2), record_steps=True)
    return [r.train_loss for r in steps_of(found)][:12]


def test_four_batches_of_64_are_one_of_256() -> None:
    expected = first_losses(Recipe(**DIGITS, batch_size=256))
    parts = Recipe(**DIGITS, batch_size=64, accumulate=4)
    assert len(expected) == 12 and first_losses(parts) == pytest.approx(expected, abs=1e-5)
    assert first_losses(Recipe(**DIGITS, batch_size=64)) != pytest.approx(expected, abs=1e-2)


def test_accumulated_epochs_count_optimizer_steps_and_all_images() -> None:
    recipe = Recipe(**DIGITS, batch_size=64, accumulate=4)
    task = bench().at(recipe).tuning_task
    assert bench().at(recipe).steps_per_epoch == task.steps_per_epoch // 4
    epoch, end = records(task, trial(recipe=recipe, lr=0.05, epochs=1))
    assert epoch.step == end.steps == task.steps_per_epoch // 4
    assert epoch.throughput_img_s * epoch.train_s == pytest.approx(epoch.step * 256)
    assert 0.1 < epoch.train_accuracy < 1.0


def test_what_is_left_over_for_less_than_a_step_is_dropped() -> None:
    assert [*grouped(range(8), Recipe(accumulate=3))] == [(0, 1, 2), (3, 4, 5)]
    assert [*grouped("ab", PLAIN)] == [("a",), ("b",)]


def test_more_batches_for_a_step_than_an_epoch_has_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--accumulate 5: an epoch has 4 batches of 8"):
        begin(Line(), trial(recipe=Recipe(accumulate=5)))


def one_step(recipe: Recipe) -> tuple[nn.Module, nn.Module, torch.Tensor | None]:
    """A model after one step of the loop, its twin with fresh gradients, and what was clipped."""
    task = Line()
    model = task.model(0)
    twin = deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = next(task.train_batches(0, 0))
    (done,) = steps(task, model, optimizer, [batch], ramp([0.1]), recipe)
    task.loss(twin, batch).backward()
    return model, twin, done.clipped


@pytest.mark.parametrize(
    ("option", "limit", "clip"),
    [
        ("clip_norm", 0.5, nn.utils.clip_grad_norm_),
        ("clip_value", 0.2, nn.utils.clip_grad_value_),
        ("clip_norm", 1e6, lambda *_: None),
        ("clip_value", 1e6, lambda *_: None),
    ],
)
def test_gradients_are_clipped_as_torch_clips_them(option: str, limit: float, clip: Any) -> None:
    model, twin, clipped = one_step(Recipe(**{option: limit}))
    clip(twin.parameters(), limit)
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    torch.testing.assert_close(model.state_dict(), twin.state_dict(), rtol=1e-6, atol=1e-7)
    assert clipped is not None and bool(clipped) == (limit < 1e6)


def test_the_share_of_clipped_steps_is_recorded_and_nothing_without_clipping() -> None:
    assert one_step(PLAIN)[2] is None
    assert all(r.clipped_share is None for r in records(Line(), trial()))
    recipe = Recipe(momentum=0.0, weight_decay=0.0, clip_norm=3.0)
    *epochs, end = records(Line(), trial(recipe=recipe, epochs=6))
    shares = [epoch.clipped_share for epoch in epochs]
    assert shares[0] == 1.0 and shares[-1] == 0.0
    assert end.clipped_share == pytest.approx(sum(shares) / 6)


def test_the_average_is_torchs() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    ours = Average(model, 0.9)
    torchs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        model(torch.rand(8, 3)).square().mean().backward()
        optimizer.step()
        ours.update(model)
        torchs.update_parameters(model)
    found, expected = (
        {name: value for name, value in net.state_dict().items() if value.is_floating_point()}
        for net in (ours.model, torchs.module)
    )
    torch.testing.assert_close(found, expected)


def test_the_average_is_evaluated_beside_the_weights_and_changes_nothing_for_them() -> None:
    plain = records(Line(), trial(stage="final"))
    recipe = trial().recipe.model_copy(update={"ema": 0.5})
    found = records(Line(), trial(stage="final", recipe=recipe))
    assert [r.val_loss for r in found[:-1]] == [r.val_loss for r in plain[:-1]]
    assert found[-1].test_loss == plain[-1].test_loss and plain[-1].ema_test_loss is None
    assert found[-1].ema_test_loss not in (None, found[-1].test_loss)
    assert all(r.ema_val_loss > r.val_loss for r in found[:-1])  # it lags behind


@pytest.mark.parametrize(
    ("group", "frozen"),
    [("bias lr=1x freeze=2ep", 2), ("bias lr=0", 3), ("bias lr=0x weight_decay=0.1", 3)],
)
def test_a_group_stays_as_it_was_while_it_is_frozen_or_of_lr_0(group: str, frozen: int) -> None:
    spec = trial(recipe=Recipe(momentum=0.9, weight_decay=0.1, groups=(group,)), epochs=3)
    training = begin(Line(), spec)
    model, start = training.model, deepcopy(training.model)
    found, moved = [], []
    for record in train(Line(), training, record_steps=True):
        found.append(record)
        if isinstance(record, EpochRecord):
            moved.append(not torch.equal(model.bias, start.bias))
            assert not torch.equal(model.weight, start.weight)
            assert frozen == 3 or (model.bias in training.optimizer.state) == moved[-1]
    assert moved == [epoch >= frozen for epoch in range(3)]
    lrs = [r.lr for r in steps_of(found) if r.group == 0]
    assert lrs == [0.0] * 4 * frozen + [0.1] * 4 * (3 - frozen)
    assert found[-1].status == "done"


def test_each_group_records_the_momentum_it_has_when_another_ones_is_moved() -> None:
    recipe = Recipe(momentum=0.9, groups=("bias schedule=onecycle",))
    found = steps_of(records(Line(), trial(recipe=recipe, epochs=1), record_steps=True))
    momenta = [{r.momentum for r in found if r.group == group} for group in (0, 1)]
    assert len(momenta[0]) > 1 and momenta[1] == {0.9}
