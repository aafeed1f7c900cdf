"""Muon for matrices, AdamW for all else."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from lrbench.errors import UsageError
from lrbench.optimizers import build
from lrbench.options import Recipe

MUON = Recipe(optimizer="muon")


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


def step(model: nn.Module, *optimizers: Optimizer) -> None:
    images = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    model.zero_grad()
    model(images).square().mean().backward()
    for optimizer in optimizers:
        optimizer.step()


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    assert all(map(torch.equal, one.parameters(), other.parameters()))


def test_it_is_both_of_torchs_optimizers_side_by_side() -> None:
    ours, theirs = net(), net()
    optimizer, _ = build(MUON, ours, 0.01)
    parts = ([p for p in theirs.parameters() if (p.ndim == 2) == is_muon] for is_muon in (1, 0))
    others = [
        Muon(next(parts), lr=0.01, weight_decay=5e-4, adjust_lr_fn="match_rms_adamw"),
        AdamW(next(parts), lr=0.01, weight_decay=5e-4, fused=True),
    ]
    for lr in (0.01, 0.01, 0.003):
        for group in (*optimizer.param_groups, *(g for o in others for g in o.param_groups)):
            group["lr"] = lr
        step(ours, optimizer)
        step(theirs, *others)
    assert_equal(ours, theirs)


def test_it_goes_on_from_its_state() -> None:
    whole, cut = net(), net()
    first, before = (build(MUON, model, 0.01)[0] for model in (whole, cut))
    step(whole, first)
    step(cut, before)
    after, _ = build(MUON, cut, 0.5)
    after.load_state_dict(before.state_dict())
    step(whole, first)
    step(cut, after)
    assert_equal(whole, cut)


def test_a_model_without_a_matrix_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--optimizer muon: .*no parameter of two dimensions"):
        build(MUON, nn.Sequential(nn.Conv2d(1, 2, 3)), 0.01)
