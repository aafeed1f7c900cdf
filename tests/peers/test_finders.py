"""What the tests of other range tests say, as facts about this one.

Peers: pytorch-lr-finder 0.2.2, ignite 0.5, Lightning 2.6, fastai 2.8. `README.md` has the counts,
and the reasons why some of their tests do not apply.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lrbench
from lrbench.errors import LrbenchError, UsageError
from tests.rangetest.handed import bits

SWEEP: dict[str, Any] = {"seeds": 1, "verify": False, "max_stable": False, "whole_range": True}


def boring(optimizer: str = "SGD", **settings: Any) -> tuple[nn.Module, Any, DataLoader[Any]]:
    torch.manual_seed(1)
    model = nn.Linear(32, 2)
    x = torch.randn(64, 32)
    data = TensorDataset(x, x[:, :2] + 0.1 * torch.randn(64, 2))
    made = getattr(torch.optim, optimizer)(model.parameters(), **{"lr": 0.1, **settings})
    return model, made, DataLoader(data, batch_size=8, shuffle=True)


def swept(**options: Any) -> Any:
    model, optimizer, loader = boring()
    return lrbench.find(model, nn.MSELoss(), loader, optimizer, **{**SWEEP, **options})


def lrs(result: Any) -> list[float]:
    return [point.lr for point in result.curve]


# pytorch-lr-finder: TestLRHistory; ignite: test_lr_policy, test_start_lr; Lightning: candidates


def test_the_learning_rates_of_a_sweep() -> None:
    linear = swept(start_lr=1e-5, end_lr=5e-5, mode="linear", points=5)
    assert lrs(linear) == pytest.approx([1e-5, 2e-5, 3e-5, 4e-5, 5e-5])
    rising = swept(start_lr=1e-5, end_lr=0.1, mode="exp", points=5)
    assert lrs(rising) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 0.1])


@pytest.mark.parametrize("points", [3, 8, 50])  # a loader of 8 batches
def test_as_many_points_as_asked_for_whatever_the_length_of_the_loader(points: int) -> None:
    found = lrs(swept(points=points, end_lr=1e-2))
    assert len(found) == points and found == sorted(set(found))
    assert found[0] == 1e-6 and found[-1] == 1e-2


# pytorch-lr-finder: TestRangeTest, TestReset, scheduler; ignite: reset, detach; Lightning: reset,
# no files, same results; fastai: lr_find


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "Adagrad"])
def test_everything_is_as_before_and_the_same_again(
    optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, made, loader = boring(optimizer)
    scheduler = torch.optim.lr_scheduler.StepLR(made, 1)
    before = bits((model.state_dict(), made.state_dict(), scheduler.state_dict()))
    first, *rest = (lrbench.find(model, nn.MSELoss(), loader, made, **SWEEP) for _ in range(3))
    assert rest == [first, first] and len(first.curve) > 10
    assert bits((model.state_dict(), made.state_dict(), scheduler.state_dict())) == before
    assert not os.listdir(tmp_path)
    replace(first, lr=0.02).apply(made)  # Lightning: update_attr
    assert made.param_groups[0]["lr"] == 0.02


# pytorch-lr-finder: TestGradientAccumulation, val_loader; Lightning: accumulation


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_forward_passes_are_counted_by_accumulation_and_validation(precision: str) -> None:
    calls: list[bool] = []

    def step(model: nn.Module, batch: Any) -> Tensor:
        calls.append(model.training)
        return nn.functional.mse_loss(model(batch[0]).float(), batch[1])

    model, optimizer, loader = boring()
    options = {**SWEEP, "step": step, "precision": precision, "end_lr": 0.1}
    found = lrbench.find(model, None, loader, optimizer, accumulate=2, **options)
    assert len(found.curve) == 100 and calls.count(True) == 200
    calls.clear()
    lrbench.find(model, None, loader, optimizer, val_loader=loader, val_loss=True, **options)
    assert calls.count(True) == calls.count(False) == 100


# ignite: diverge_th; fastai: stop_div; Lightning: early_stop_threshold


@pytest.mark.parametrize("whole", [True, False])
def test_a_diverging_sweep_ends_early_unless_told_not_to(whole: bool) -> None:
    model, optimizer, loader = boring("Adam")
    found = lrbench.find(
        model, nn.MSELoss(), loader, optimizer, end_lr=100.0, **{**SWEEP, "whole_range": whole}
    )
    assert (len(found.curve) == 100) == whole


# ignite: attach_incorrect_input_args, wrong start and end, output type, groups; pytorch-lr-finder:
# num_iter, loaders; Lightning: min and max exchanged


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"points": 1}, "points"), ({"points": 0.5}, "points"), ({"points": 0}, "points"),
        ({"mode": "abc"}, "mode"), ({"start_lr": 10.0, "end_lr": 1.0}, "must lie below"),
        ({"start_lr": 10.0, "end_lr": 10.0}, "must lie below"), ({"start_lr": -1.0}, "start_lr"),
        ({"start_lr": "1e-5"}, "start_lr|must be"),
        ({"start_lr": [1e-6, 1e-5]}, "2 values for 1 group"), ({"window": 0.0}, "window"),
        ({"rule": "abc"}, "rule"), ({"precision": "fp16"}, "gradient scaler"),
        ({"val_loss": True}, "val_loader"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(LrbenchError, match=words):
        swept(**options)


@pytest.mark.parametrize(
    ("loss_fn", "words"),
    [
        (lambda out, y: 10, "returned a int"),
        (lambda out, y: (10, 5), "returned a int"),
        (lambda out, y: (out - y).square().mean(0), "returned 2 numbers"),
        (lambda out, y: (out - y).square().mean().view(1), ""),
        (lambda out, y: (out - y).square().mean(), ""),
    ],
)
def test_a_loss_is_one_number(loss_fn: Callable[..., Any], words: str) -> None:
    model, optimizer, loader = boring()
    if not words:
        assert lrbench.find(model, loss_fn, loader, optimizer, **SWEEP).curve
        return
    with pytest.raises(UsageError, match=words):
        lrbench.find(model, loss_fn, loader, optimizer, **SWEEP)


@pytest.mark.parametrize("loader", [3, iter([]), [], None])
def test_what_is_no_loader_is_refused(loader: Any) -> None:
    model, optimizer, _ = boring()
    with pytest.raises(UsageError, match="loader"):
        lrbench.find(model, nn.MSELoss(), loader, optimizer, **SWEEP)


# ignite: multi_group_optimizer, apply_suggested_lr for several groups


def test_groups_rise_from_their_own_starts_and_take_the_answer() -> None:
    model = nn.Sequential(nn.Linear(10, 20), nn.Linear(20, 10), nn.Linear(10, 10))
    pairs = zip(model, (0.4, 0.03, 3e-3), strict=True)
    optimizer = torch.optim.SGD([{"params": each.parameters(), "lr": lr} for each, lr in pairs])
    seen: list[list[float]] = []

    def step(model: nn.Module, batch: Tensor) -> Tensor:
        seen.append([group["lr"] for group in optimizer.param_groups])
        return (model(batch) - batch).square().mean()

    data = [torch.randn(4, 10) for _ in range(5)]
    starts = [1e-4, 1e-4, 1e-5]
    found = lrbench.find(model, None, data, optimizer, step=step, start_lr=starts, **SWEEP)
    rising = np.array(seen[: len(found.curve)])
    assert rising[0].tolist() == pytest.approx(starts) and (np.diff(rising, axis=0) > 0).all()
    replace(found, lr=0.5).apply(optimizer)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.5, 0.5, 0.05])
    with pytest.raises(UsageError, match="3 values for 1 group"):
        replace(found, lr=0.5).apply(boring()[1])


# Lightning: not_enough_finite_points, invalid suggestion, non-finite values; ignite: unexpected
# curve; pytorch-lr-finder: suggest_lr; fastai: suggestions with NaN


@pytest.mark.parametrize(
    "losses",
    [[], [0.0, 1, 2], [np.nan, np.nan, 0, np.inf, 1, 2], [5.0, 3, 1], [1.0] * 100, range(100)],
)
def test_a_curve_that_says_nothing_gives_no_answer_and_a_reason(losses: Any) -> None:
    answer = lrbench.suggest(np.logspace(-6, 0, 100), [np.array(losses, dtype=float)])
    assert answer.lr is None and answer.reasons
    optimizer = boring()[1]
    with pytest.raises(UsageError, match="no learning rate to apply"):
        replace(swept(points=12), lr=None).apply(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_the_last_losses_may_be_anything_but_finite() -> None:
    grid = np.logspace(-6, 1, 100)
    losses = 2 - 1 / (1 + (1e-3 / grid) ** 2)
    answer = lrbench.suggest(grid, losses).lr
    for bad in (np.nan, np.inf):
        assert lrbench.suggest(grid, [*losses[:-1], bad]).lr == pytest.approx(answer, rel=0.02)


@pytest.mark.parametrize("rule", ["steepest", "valley", "minimum", "slide"])
def test_every_rule_of_the_peers_answers_within_the_fall(rule: str) -> None:
    grid = np.logspace(-6, 1, 100)
    losses = 2 - 1 / (1 + (1e-3 / grid) ** 2) + (grid / 0.3) ** 2
    answer = lrbench.suggest(grid, losses, rule=rule)
    assert answer.lr is not None and 1e-4 < answer.lr < 0.1
    assert set(answer.rules) == {"steepest", "valley", "minimum", "slide"}


# pytorch-lr-finder, ignite: plot


def test_a_plot_is_drawn_on_the_axes_that_are_given() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert swept().plot(ax) is ax and ax.lines and ax.get_xscale() == "log"
