from typing import Any

import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.rangetest.judge import Judge
from lrbench.rangetest.probe import Prober
from tests.rangetest.problems import Quadratic, Task, sgd


class WithValidation(Task):
    """A task whose validation batches are 100, 101 and 102."""

    def val_batches(self, samples: int) -> list[int]:
        return [100, 101, 102]


def noise_net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 64), nn.Dropout(0.5), nn.BatchNorm1d(64), nn.Linear(64, 1))


def loss_of(model: nn.Module, step: int) -> Any:
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(16, 3, generator=generator)
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


def test_it_is_the_mean_loss_in_evaluation_mode() -> None:
    judge = Judge.of(WithValidation(noise_net, loss_of=loss_of))
    model = noise_net()
    model[1].eval()
    modes = [part.training for part in model.modules()]
    buffers = [buffer.clone() for buffer in model.buffers()]
    first, again = judge(model), judge(model)
    assert first == again and not first.requires_grad and judge.held_out
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(buffers, model.buffers(), strict=True))
    model.eval()
    with torch.no_grad():
        assert first == pytest.approx(sum(loss_of(model, i) for i in (100, 101, 102)).item() / 3)


def test_without_validation_data_it_takes_the_tasks_own_batches() -> None:
    task = Task(noise_net, loss_of=loss_of, steps_per_epoch=9)
    judge = Judge.of(task)
    assert len(judge.batches) == 4 and not judge.held_out
    assert task.epochs_read == [(0, 1_000_000)]  # an epoch that no training gets to
    with pytest.raises(UsageError, match="--val-loss: there is no validation data"):
        judge.quick()


def test_a_probe_tells_what_the_judge_saw_late_in_the_training() -> None:
    """Gradient descent on x^2/2 from 1: x = (1 - lr)^k after k steps, judged after 64, 60, 56
    and 52 of them; the training batches' losses are offset by 7, those of the judge are not."""
    task = WithValidation(
        lambda: Quadratic([1.0]), loss_of=lambda model, step: model() + 7 * (step < 100)
    )
    setup = sgd(task)
    (probe,) = Prober(setup, 64, Judge.of(task)).each([(0.02, 0)])
    expected = sum(0.98 ** (2 * k) / 2 for k in (64, 60, 56, 52)) / 4
    assert probe.judged == pytest.approx(expected)
    assert probe.loss is not None and probe.loss > 7
