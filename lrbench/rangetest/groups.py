"""Which parameter groups are swept, and the learning rates of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lrbench.errors import UsageError
from lrbench.optimizers.groups import GroupSpec
from lrbench.registry import did_you_mean

if TYPE_CHECKING:
    from torch.optim import Optimizer

GroupLrs = Callable[[float], tuple[float, ...]]
"""Maps the learning rate of the test to those of the groups."""


def swept(groups: Sequence[GroupSpec], which: str | None = None) -> GroupLrs:
    """Learning rates from the groups' factors and absolute values. If group `which` is swept
    alone, it gets the test's own and the others their absolute ones."""
    if which is None and all(group.lr_absolute is not None for group in groups):
        raise UsageError(
            f"--group '{groups[0]}': no group is left with a learning rate to sweep",
            hint="write a factor, such as lr=1x, or name one with --sweep-group",
        )
    place = None if which is None else swept_place(groups, which)
    return lambda lr: tuple(lr if i == place else g.lr(lr) for i, g in enumerate(groups))


def swept_place(groups: Sequence[GroupSpec], which: str, *, rest_known: bool = True) -> int:
    """The index of the group to sweep alone, named by its pattern or its index.

    Args:
        rest_known: whether the last group (all other parameters) is known not to be empty.

    Raises:
        UsageError: no such group, or another group has no absolute learning rate.

    >>> swept_place([GroupSpec("head*"), GroupSpec("*", lr_absolute=0.1)], "head*")
    0
    """
    names = {str(i): i for i in range(len(groups))} | {g.pattern: i for i, g in enumerate(groups)}
    place = names.get(which)
    if place is None:
        hint = did_you_mean(which, [group.pattern for group in groups])
        raise UsageError(f"--sweep-group {which}: there is no such group", hint=hint)
    if groups[place].freeze:
        raise UsageError(
            f"--sweep-group {which}: {groups[place]} is frozen at first, so it cannot be swept",
            hint="leave out its freeze=",
        )
    for i, group in enumerate(groups if rest_known else groups[:-1]):
        if i != place and group.lr_absolute is None:
            raise UsageError(
                f"--sweep-group {which}: {group.pattern!r} has no learning rate to stay at",
                hint=f"give it one, like --group '{group.pattern} lr=0.01'",
            )
    return place


def freeze(optimizer: Optimizer, groups: Sequence[GroupSpec]) -> None:
    """Freeze the groups with `freeze=`: a range test represents the first steps of a training."""
    for group, stepped in zip(groups, optimizer.param_groups, strict=False):
        for parameter in stepped["params"] if group.freeze else ():
            parameter.requires_grad_(False)


def ratio_of(
    optimizer: Optimizer, starts: Sequence[float] = (), alone: int | None = None
) -> GroupLrs:
    """Learning rates in the ratio of `starts` or, with fewer than two, of the groups' current ones.
    With `alone`, only that group's changes."""
    groups = optimizer.param_groups
    if not all("lr" in group for group in groups):
        raise UsageError("optimizer: its parameter groups have no lr")
    lrs = [float(group["lr"]) for group in groups] if len(starts) < 2 else list(starts)
    if len(lrs) != len(groups):
        raise UsageError(f"start_lr: {len(lrs)} values for {len(groups)} groups")
    if alone is not None:
        if type(alone) is not int or not 0 <= alone < len(lrs):
            raise UsageError(f"sweep_group: {alone} is not one of the groups 0 to {len(lrs) - 1}")
        return lambda lr: (*lrs[:alone], lr, *lrs[alone + 1 :])
    if len(lrs) == 1:
        return lambda lr: (lr,)
    if lrs[0] == 0:
        raise UsageError("optimizer: the lr of its first group is 0, so the others have no ratio")
    return lambda lr: tuple(lr * (each / lrs[0]) for each in lrs)
