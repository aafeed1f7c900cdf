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
from lrbench.records import EpochRecord, StepRecord, TrialEnd
from tests.toys import Line, trial

DIGITS = {"dataset": "synthetic", "model": "mlp"}


@cache
def bench() -> Workbench:
    return Workbench(Recipe(**DIGITS), Host(device="cpu", threads=1))


def first_losses(recipe: Recipe, count: int = 12) -> list[float]:
    here = bench().at(recipe)
    spec = trial(recipe=recipe, lr=0.01, epochs=2)
    found = list(train(here.tuning_task, begin(here.tuning_task, spec), record_steps=True))
    return [r.train_loss for r in found if isinstance(r, StepRecord)][:count]


def test_four_batches_of_64_are_one_of_256() -> None:
    large, parts = (
        Recipe(**DIGITS, **more)
        for more in ({"batch_size": 256}, {"batch_size": 64, "accumulate": 4})
    )
    expected = first_losses(large)
    assert len(expected) == 12
    assert first_losses(parts) == pytest.approx(expected, abs=1e-5)
    assert first_losses(Recipe(**DIGITS, batch_size=64)) != pytest.approx(expected, abs=1e-2)


def test_accumulated_epochs_count_optimizer_steps_and_all_images() -> None:
    recipe = Recipe(**DIGITS, batch_size=64, accumulate=4)
    task = bench().at(recipe).tuning_task
    assert bench().at(recipe).steps_per_epoch == task.steps_per_epoch // 4
    found = list(train(task, begin(task, trial(recipe=recipe, lr=0.05, epochs=1))))
    epoch, end = found[0], found[-1]
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
    ("recipe", "clip"),
    [
        (Recipe(clip_norm=0.5), lambda ps: nn.utils.clip_grad_norm_(ps, 0.5)),
        (Recipe(clip_value=0.2), lambda ps: nn.utils.clip_grad_value_(ps, 0.2)),
        (Recipe(clip_norm=1e6), lambda ps: None),
        (Recipe(clip_value=1e6), lambda ps: None),
    ],
    ids=["norm", "value", "norm-unreached", "value-unreached"],
)
def test_gradients_are_clipped_as_torch_clips_them(recipe: Recipe, clip: Any) -> None:
    model, twin, clipped = one_step(recipe)
    clip(twin.parameters())
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    for found, expected in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    reached = 1e6 not in (recipe.clip_norm, recipe.clip_value)
    assert clipped is not None and bool(clipped) == reached


def test_without_clipping_nothing_is_counted() -> None:
    assert one_step(PLAIN)[2] is None
    found = list(train(Line(), begin(Line(), trial())))
    assert all(r.clipped_share is None for r in found)


def test_the_share_of_clipped_steps_is_recorded() -> None:
    spec = trial(recipe=Recipe(momentum=0.0, weight_decay=0.0, clip_norm=3.0), epochs=6)
    found = list(train(Line(), begin(Line(), spec)))
    shares = [r.clipped_share for r in found if isinstance(r, EpochRecord)]
    assert shares[0] == 1.0 and shares[-1] == 0.0
    end = found[-1]
    assert isinstance(end, TrialEnd) and end.clipped_share == pytest.approx(sum(shares) / 6)


def test_the_average_is_torchs() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    ours = Average(model, 0.9)
    torchs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        model(torch.rand(8, 3)).square().mean().backward()
        optimizer.step()
        ours.update(model)
        torchs.update_parameters(model)
    for (name, found), expected in zip(
        ours.model.named_parameters(), torchs.module.parameters(), strict=True
    ):
        torch.testing.assert_close(found, expected, msg=name)
    for (name, found), expected in zip(
        ours.model.named_buffers(), torchs.module.buffers(), strict=True
    ):
        if found.is_floating_point():
            torch.testing.assert_close(found, expected, msg=name)


def test_the_average_is_evaluated_beside_the_weights_and_changes_nothing_for_them() -> None:
    plain = list(train(Line(), begin(Line(), trial(stage="final"))))
    recipe = trial().recipe.model_copy(update={"ema": 0.5})
    found = list(train(Line(), begin(Line(), trial(stage="final", recipe=recipe))))
    assert [r.val_loss for r in found[:-1]] == [r.val_loss for r in plain[:-1]]
    assert found[-1].test_loss == plain[-1].test_loss and plain[-1].ema_test_loss is None
    assert found[-1].ema_test_loss not in (None, found[-1].test_loss)
    assert all(r.ema_val_loss > r.val_loss for r in found[:-1])  # it lags behind


def test_a_frozen_group_stays_as_it_was_until_its_epoch() -> None:
    groups = ("bias lr=1x freeze=2ep",)
    spec = trial(recipe=Recipe(momentum=0.9, weight_decay=0.1, groups=groups), epochs=3)
    training = begin(Line(), spec)
    start = [p.detach().clone() for p in training.model.parameters()]
    moved, lrs = [], []
    for record in train(Line(), training, record_steps=True):
        if isinstance(record, StepRecord) and record.group == 0:
            lrs.append(record.lr)
        if isinstance(record, EpochRecord):
            moved.append(not torch.equal(training.model.bias, start[1]))
            assert not torch.equal(training.model.weight, start[0])
            assert (training.model.bias in training.optimizer.state) == moved[-1]
    assert moved == [False, False, True]
    assert lrs == [0.0] * 8 + [0.1] * 4


@pytest.mark.parametrize("group", ["bias lr=0", "bias lr=0x weight_decay=0.1"])
def test_a_group_of_lr_0_is_never_trained(group: str) -> None:
    training = begin(Line(), trial(recipe=Recipe(momentum=0.9, groups=(group,)), epochs=2))
    start = [p.detach().clone() for p in training.model.parameters()]
    records = list(train(Line(), training, record_steps=True))
    assert {r.lr for r in records if isinstance(r, StepRecord) and r.group == 0} == {0.0}
    assert records[-1].status == "done"
    assert torch.equal(training.model.bias, start[1])
    assert not torch.equal(training.model.weight, start[0])


def test_each_group_records_the_momentum_it_has_when_another_ones_is_moved() -> None:
    groups = ("bias schedule=onecycle",)
    training = begin(Line(), trial(recipe=Recipe(momentum=0.9, groups=groups), epochs=1))
    steps = [r for r in train(Line(), training, record_steps=True) if isinstance(r, StepRecord)]
    found = {group: {r.momentum for r in steps if r.group == group} for group in (0, 1)}
    assert len(found[0]) > 1 and found[1] == {0.9}
