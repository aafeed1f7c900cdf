"""Schedule-free optimizers train one set of weights and evaluate another.

They have a `train()` and an `eval()`; other optimizers are left alone here.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from lrbench.tasks.base import Task

BATCHES = 50


def for_training(optimizer: Optimizer) -> None:
    """Put the weights to train into the model."""
    if hasattr(optimizer, "train"):
        optimizer.train()


def for_judging(task: Task, model: nn.Module, optimizer: Optimizer, seed: int, epoch: int) -> None:
    """Put the weights to evaluate into the model, and recompute its batch-norm statistics, which
    belong to the other weights, on some training batches (Defazio et al. 2024,
    arXiv:2405.15682)."""
    if not hasattr(optimizer, "eval"):
        return
    optimizer.eval()
    renew_batch_norm(task, model, seed, epoch)


def renew_batch_norm(task: Task, model: nn.Module, seed: int, epoch: int) -> None:
    """Set batch-norm statistics to their mean over the epoch's first `BATCHES` batches."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch then takes the mean of all batches so far
    training = model.training
    model.train()
    with torch.no_grad():
        for batch in islice(task.train_batches(seed, epoch), BATCHES):
            task.loss(model, batch)
    model.train(training)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
