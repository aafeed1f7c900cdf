"""Optimizers by name, and the parameter groups that they step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lrbench.errors import UsageError
from lrbench.experiment import Recipe
from lrbench.optimizers.groups import GroupSpec, assign, parse_group, parse_groups
from lrbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

# (torch parameter groups with lr and weight_decay, the recipe) -> the optimizer
Make = Callable[[list[dict[str, Any]], Recipe], "Optimizer"]
OPTIMIZERS: Registry[Make] = Registry("optimizer", "lrbench.optimizers")

__all__ = ["OPTIMIZERS", "GroupSpec", "build", "check", "parse_group", "parse_groups"]


def check(recipe: Recipe) -> None:
    """Refuse, without torch, what no optimizer can be made of.

    Raises:
        UsageError: an unknown optimizer, nesterov where there is none, an unreadable group.
    """
    facts = OPTIMIZERS.get(recipe.optimizer, option="--optimizer").facts
    if recipe.nesterov and not facts.get("nesterov"):
        raise UsageError(f"--nesterov: {recipe.optimizer} has no Nesterov momentum; use sgd")
    if recipe.nesterov and recipe.momentum == 0:
        raise UsageError("--nesterov needs a --momentum above 0")
    parse_groups(recipe.groups)


def build(recipe: Recipe, model: nn.Module, lr: float) -> tuple[Optimizer, tuple[GroupSpec, ...]]:
    """The recipe's optimizer over the model's trainable parameters, at the learning rate `lr`.

    Its parameter groups and the specs returned are in the same order: that of `recipe.groups`,
    where the first match wins, then all other parameters.

    Raises:
        UsageError: as `check`, and a pattern that matches no trainable parameter.
    """
    check(recipe)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    members = assign(list(parameters), parse_groups(recipe.groups))
    groups = [
        {
            "params": [parameters[name] for name in names],
            "lr": group.lr(lr),
            "weight_decay": (
                recipe.weight_decay if group.weight_decay is None else group.weight_decay
            ),
        }
        for group, names in members
    ]
    make = OPTIMIZERS.get(recipe.optimizer).make
    return make(groups, recipe), tuple(group for group, _ in members)
