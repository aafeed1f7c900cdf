"""Muon for matrices, AdamW for all else."""

import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.optimizers import build
from lrbench.options import Recipe


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


def step(model: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    images = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    for optimizer in optimizers:
        optimizer.zero_grad()
    model(images).square().mean().backward()
    for optimizer in optimizers:
        optimizer.step()


def reference(model: nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Both of torch's optimizers side by side."""
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    return [
        torch.optim.Muon(matrices, lr=lr, weight_decay=5e-4, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=lr, weight_decay=5e-4, fused=True),
    ]


def test_it_is_both_of_torchs_optimizers_side_by_side() -> None:
    ours, theirs = net(), net()
    optimizer, _ = build(Recipe(optimizer="muon"), ours, 0.01)
    others = reference(theirs, 0.01)
    for lr in (0.01, 0.01, 0.003):
        for group in (*optimizer.param_groups, *(g for o in others for g in o.param_groups)):
            group["lr"] = lr
        step(ours, optimizer)
        step(theirs, *others)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_it_goes_on_from_its_state() -> None:
    whole, cut = net(), net()
    first, _ = build(Recipe(optimizer="muon"), whole, 0.01)
    before, _ = build(Recipe(optimizer="muon"), cut, 0.01)
    step(whole, first)
    step(cut, before)
    after, _ = build(Recipe(optimizer="muon"), cut, 0.5)
    after.load_state_dict(before.state_dict())
    step(whole, first)
    step(cut, after)
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_model_without_a_matrix_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--optimizer muon: .*no parameter of two dimensions"):
        build(Recipe(optimizer="muon"), nn.Sequential(nn.Conv2d(1, 2, 3)), 0.01)
