"""Optimizers with a group of one number for each learning rate, and a momentum of 0.5."""

from typing import Any

import torch
from torch.optim import SGD, AdamW


def groups(lrs: tuple[float | torch.Tensor, ...]) -> list[dict[str, Any]]:
    return [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]


def sgd(*lrs: float | torch.Tensor) -> SGD:
    return SGD(groups(lrs), momentum=0.5)


def adamw(*lrs: float | torch.Tensor) -> AdamW:
    return AdamW(groups(lrs), betas=(0.5, 0.99), capturable=False)
