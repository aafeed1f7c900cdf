"""Schedules as a torch `LRScheduler`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrbench.errors import UsageError
from lrbench.schedules.bound import Schedule
from lrbench.schedules.parse import parse

Spec = str | Schedule
Metrics = float | torch.Tensor | Mapping[str, float]


def to_torch(
    spec: Spec | Sequence[Spec], optimizer: Optimizer, steps: int, steps_per_epoch: int
) -> ScheduleLR:
    """The schedule as an ordinary `LRScheduler`. Step it once after each `optimizer.step()`.

    Args:
        spec: one for all parameter groups, or a sequence with one per group.
        optimizer: a group's base LR is the one named by its schedule (`cosine @ 0.1`), else its
            `initial_lr`, else its `lr`. Tensor LRs are filled in place.

    Raises:
        UsageError: a spec or a number is invalid.
    """
    groups = len(optimizer.param_groups)
    specs = [spec] * groups if isinstance(spec, str | Schedule) else list(spec)
    if len(specs) != groups:
        raise UsageError(f"{len(specs)} schedules for {groups} parameter groups")
    schedules = [parse(one) if isinstance(one, str) else one for one in specs]
    return ScheduleLR(optimizer, schedules, steps, steps_per_epoch)


class ScheduleLR(LRScheduler):
    """Schedules, one per parameter group, as a torch scheduler.

    The LR depends only on the step counter, never on the optimizer's current LR. The counter is the
    whole state, along with the observations of adaptive schedules. Groups added to the optimizer
    later keep their LR.

    Call `step()` after each `optimizer.step()`. A schedule that adapts to a metric gets it at the
    end of an epoch through `step(metrics)` or `observe(metrics)`, called after the last batch's
    `step()`, instead of it, or instead of every `step()` of the epoch.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedules: Sequence[Schedule],
        steps: int,
        steps_per_epoch: int,
    ) -> None:
        self._metrics = [schedule.metric for schedule in schedules]
        self._bounds = [
            schedule.bind(
                schedule.at or float(group.get("initial_lr", group["lr"])), steps, steps_per_epoch
            )
            for schedule, group in zip(schedules, optimizer.param_groups, strict=True)
        ]
        self._steps_per_epoch = steps_per_epoch
        self._observed = -1  # the last epoch with known metrics
        super().__init__(optimizer)

    def get_lr(self) -> list[float | torch.Tensor]:
        added = self.optimizer.param_groups[len(self._bounds) :]
        own = [bound.lr(self.last_epoch) for bound in self._bounds]
        return [*own, *(group["lr"] for group in added)]

    def step(self, metrics: Metrics | None = None) -> None:
        """Advance by one step or, with `metrics`, call `observe`."""
        if metrics is not None:
            self.observe(metrics)
            return
        super().step()
        self._write_momenta()

    def observe(self, metrics: Metrics) -> None:
        """End the epoch with its metrics: a number, or a mapping from names such as `val_loss`."""
        if not any(self._metrics):
            raise UsageError("no schedule adapts to a metric: call step() without metrics")
        epoch = max(self._observed + 1, -(-self.last_epoch // self._steps_per_epoch) - 1)
        for name, bound in zip(self._metrics, self._bounds, strict=True):
            if name is not None:
                known = metrics if isinstance(metrics, Mapping) else {name: float(metrics)}
                bound.observe(known, epoch)
        self._observed = epoch
        self.last_epoch = max(self.last_epoch, (epoch + 1) * self._steps_per_epoch)
        self._write()

    def state_dict(self) -> dict[str, Any]:
        """The step counter and, if a schedule adapts to metrics, its observations."""
        state: dict[str, Any] = {"last_epoch": self.last_epoch}
        if any(self._metrics):
            state["observed"] = self._observed
            state["plateaus"] = [bound.state() for bound in self._bounds]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore a state and write its LR and momentum to the optimizer."""
        adaptive = any(self._metrics)
        if "last_epoch" not in state_dict or adaptive != ("plateaus" in state_dict):
            raise UsageError("this is not a state of this schedule")
        self.last_epoch = int(state_dict["last_epoch"])
        self._step_count = self.last_epoch + 1
        if adaptive:
            self._observed = int(state_dict["observed"])
            for bound, state in zip(self._bounds, state_dict["plateaus"], strict=True):
                if state:
                    bound.restore(state)
        self._write()

    def _write(self) -> None:
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        self._last_lr = copy.deepcopy([group["lr"] for group in self.optimizer.param_groups])
        self._write_momenta()

    def _write_momenta(self) -> None:
        """Write to the first of the `betas` or to `momentum`, if a group has either."""
        for group, bound in zip(self.optimizer.param_groups, self._bounds, strict=False):
            momentum = bound.momentum(self.last_epoch)
            if momentum is not None and "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif momentum is not None and "momentum" in group:
                group["momentum"] = momentum
