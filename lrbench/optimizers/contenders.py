"""Optimizers that do without a schedule, from the packages of the extra `contenders`.

Those with `train()` and `eval()` methods hold one set of weights to train and another to evaluate;
the training loop switches between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrbench.experiment import Recipe
from lrbench.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from torch.optim import Optimizer

Groups = list[dict[str, Any]]


@OPTIMIZERS.register(
    "schedulefree_sgd", "SGD without a schedule, --momentum above 0", package="schedulefree"
)
def schedulefree_sgd(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Defazio et al., "The road less scheduled" (2024), arXiv:2405.15682."""
    from schedulefree import SGDScheduleFree

    made: Optimizer = SGDScheduleFree(groups, **{"momentum": recipe.momentum, **settings})
    return made


@OPTIMIZERS.register(
    "schedulefree_adamw", "AdamW without a schedule", package="schedulefree", momentum=False
)
def schedulefree_adamw(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """As schedulefree_sgd."""
    from schedulefree import AdamWScheduleFree

    made: Optimizer = AdamWScheduleFree(groups, **settings)
    return made


@OPTIMIZERS.register(
    "prodigy",
    "Adam that estimates its own LR; --lr is a factor, usually 1",
    package="prodigyopt",
    momentum=False,
    usual_lr=1.0,
)
def prodigy(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Mishchenko and Defazio, "Prodigy" (2023), arXiv:2306.06101."""
    from prodigyopt import Prodigy

    made: Optimizer = Prodigy(groups, **settings)
    return made
