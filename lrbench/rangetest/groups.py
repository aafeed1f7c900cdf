"""Which parameter group is swept, and what the others train at meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lrbench.errors import UsageError
from lrbench.optimizers.groups import GroupSpec
from lrbench.registry import did_you_mean

if TYPE_CHECKING:
    from torch.optim import Optimizer

GroupLrs = Callable[[float], tuple[float, ...]]


def swept(groups: Sequence[GroupSpec], which: str | None = None) -> GroupLrs:
    """From the learning rate of a range test to those of the groups.

    Jointly, groups keep their factors, and absolute learning rates stay. With one group swept, it
    trains at the test's own learning rate, and all others at their absolute ones.

    Raises:
        UsageError: as `swept_place`.
    """
    if which is None:
        return lambda lr: tuple(group.lr(lr) for group in groups)
    place = swept_place(groups, which)
    return lambda lr: tuple(lr if i == place else g.lr(lr) for i, g in enumerate(groups))


def swept_place(groups: Sequence[GroupSpec], which: str, *, rest_known: bool = True) -> int:
    """The place of the group that is swept alone, by its pattern or its number from 0.

    Args:
        rest_known: whether the last group, of all other parameters, is known to have any.

    Raises:
        UsageError: no such group, or another group has no absolute learning rate to stay at.

    >>> swept_place([GroupSpec("head*"), GroupSpec("*", lr_absolute=0.1)], "head*")
    0
    """
    patterns = [group.pattern for group in groups]
    if which in patterns:
        place = patterns.index(which)
    elif which.isdecimal() and int(which) < len(groups):
        place = int(which)
    else:
        hint = did_you_mean(which, patterns)
        raise UsageError(f"--sweep-group {which}: there is no such group", hint=hint)
    if groups[place].freeze:
        raise UsageError(
            f"--sweep-group {which}: {groups[place]} is frozen at first, as in a range test",
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
    """Keep the groups with `freeze=` as they are: a range test is about the first steps of a
    training, in which they are not trained."""
    for group, stepped in zip(groups, optimizer.param_groups, strict=False):
        for parameter in stepped["params"] if group.freeze else ():
            parameter.requires_grad_(False)


def ratio_of(lrs: Sequence[float], alone: int | None = None) -> GroupLrs:
    """From the learning rate of a range test to those of an optimizer's groups: all in the ratio
    of `lrs`, the learning rates that they have, or only group `alone`, the others staying there.

    Raises:
        UsageError: the first group's is 0, so that there is no ratio; or there is no such group.
    """
    if alone is not None:
        if type(alone) is not int or not 0 <= alone < len(lrs):
            raise UsageError(f"sweep_group: {alone} is none of the groups 0 to {len(lrs) - 1}")
        return lambda lr: (*lrs[:alone], lr, *lrs[alone + 1 :])
    if len(lrs) == 1:
        return lambda lr: (lr,)
    if lrs[0] == 0:
        raise UsageError("optimizer: the lr of its first group is 0, so the others have no ratio")
    scales = [lr / lrs[0] for lr in lrs]
    return lambda lr: tuple(lr * scale for scale in scales)
