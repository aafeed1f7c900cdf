"""Muon for matrices, AdamW for all else."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from lrbench.errors import UsageError
from lrbench.optimizers import build
from lrbench.options import Recipe

MUON = Recipe(optimizer="muon")


def step(model: nn.Module, *optimizers: Optimizer) -> None:
    images = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    model.zero_grad()
    model(images).square().mean().backward()
    for optimizer in optimizers:
        optimizer.step()


def test_it_is_both_of_torchs_optimizers_side_by_side() -> None:
    ours = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    theirs = deepcopy(ours)
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
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_a_model_without_a_matrix_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--optimizer muon: .*no two-dimensional parameter"):
        build(MUON, nn.Sequential(nn.Conv2d(1, 2, 3)), 0.01)
