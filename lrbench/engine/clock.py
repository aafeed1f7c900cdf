"""The learning rates of an epoch, computed before it starts: one row per step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrbench.records import CutRecord
from lrbench.schedules import Bound

if TYPE_CHECKING:
    import torch

    from lrbench.optimizers import GroupSpec
    from lrbench.options import TrialSpec


@dataclass(frozen=True)
class Row:
    """The learning rate of each parameter group at one step, and the momenta if the schedule
    sets them (None keeps the group's own)."""

    lrs: tuple[float, ...]
    momenta: tuple[float | None, ...] = ()

    def apply(self, optimizer: torch.optim.Optimizer) -> None:
        """Write the row into the optimizer's groups."""
        for group, lr in zip(optimizer.param_groups, self.lrs, strict=True):
            group["lr"] = lr
        for group, momentum in zip(optimizer.param_groups, self.momenta, strict=False):
            if momentum is None:
                continue
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif "momentum" in group:
                group["momentum"] = momentum


def ramp(lrs: Iterable[float], scales: Sequence[float] = (1.0,)) -> list[Row]:
    """Rows with the same learning rates for every group, times the group's scale."""
    return [Row(tuple(lr * scale for scale in scales)) for lr in lrs]


@dataclass(frozen=True)
class Clockwork:
    """The bound schedules of a trial, one for each parameter group."""

    trial: str
    steps_per_epoch: int
    bounds: tuple[Bound, ...]
    frozen: tuple[int, ...] = ()  # leading epochs for which each group is not trained

    @staticmethod
    def of(trial: TrialSpec, groups: Sequence[GroupSpec], steps_per_epoch: int) -> Clockwork:
        total = trial.epochs * steps_per_epoch
        lrs = [group.lr(trial.lr, trial.lr_reference) for group in groups]
        bounds = tuple(
            trial.trained(group.schedule or trial.schedule).bind(
                lr=lr or trial.lr, steps=total, steps_per_epoch=steps_per_epoch
            )
            for group, lr in zip(groups, lrs, strict=True)
        )
        frozen = tuple(  # a group of LR 0 is never trained
            group.frozen_epochs(trial.stretch) if lr else trial.epochs
            for group, lr in zip(groups, lrs, strict=True)
        )
        return Clockwork(trial.id, steps_per_epoch, bounds, frozen if any(frozen) else ())

    def rows(self, epoch: int) -> list[Row]:
        """The rows of an epoch, counted from 0."""
        found = []
        frozen = self.frozen or [0] * len(self.bounds)
        for step in range(epoch * self.steps_per_epoch, (epoch + 1) * self.steps_per_epoch):
            momenta = tuple(bound.momentum(step) for bound in self.bounds)
            lrs = tuple(
                bound.lr(step) if epoch >= first else 0.0
                for bound, first in zip(self.bounds, frozen, strict=True)
            )
            found.append(Row(lrs, momenta if any(m is not None for m in momenta) else ()))
        return found

    def freeze(self, optimizer: torch.optim.Optimizer, epoch: int) -> None:
        """Switch off the gradients of groups that are frozen in an epoch, so that their optimizer
        state is untouched as well."""
        for group, epochs in zip(optimizer.param_groups, self.frozen, strict=False):
            for parameter in group["params"]:
                parameter.requires_grad_(epoch >= epochs)

    def observe(self, epoch: int, metrics: Mapping[str, float]) -> Iterator[CutRecord]:
        """Pass an epoch's metrics to the adaptive schedules; yield the cuts they make."""
        for bound in self.bounds:
            cut = bound.observe(metrics, epoch) if bound.adaptive else None
            if cut is not None:
                yield CutRecord(self.trial, epoch + 1, *cut)
