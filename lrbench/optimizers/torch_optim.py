"""The optimizers of torch.optim.

Each group brings its own `lr` and `weight_decay`. `fused` is one kernel for all parameters: the
fastest there is, and the same bits each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrbench.experiment import Recipe
from lrbench.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from torch.optim import Optimizer

Groups = list[dict[str, Any]]


@OPTIMIZERS.register("sgd", "with --momentum, --nesterov, L2 --weight-decay", nesterov=True)
def sgd(groups: Groups, recipe: Recipe) -> Optimizer:
    """v = momentum·v + g + decay·w; w = w - lr·v. With nesterov, w = w - lr·(g + momentum·v)."""
    from torch.optim import SGD

    return SGD(groups, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True)


@OPTIMIZERS.register("adam", "betas 0.9 and 0.999, L2 --weight-decay; ignores --momentum")
def adam(groups: Groups, recipe: Recipe) -> Optimizer:
    """Kingma and Ba, "Adam" (2014)."""
    from torch.optim import Adam

    return Adam(groups, fused=True)


@OPTIMIZERS.register("adamw", "Adam with decoupled --weight-decay; ignores --momentum")
def adamw(groups: Groups, recipe: Recipe) -> Optimizer:
    """Loshchilov and Hutter, "Decoupled weight decay regularization" (2017)."""
    from torch.optim import AdamW

    return AdamW(groups, fused=True)


@OPTIMIZERS.register("rmsprop", "smoothing 0.99, with --momentum, L2 --weight-decay")
def rmsprop(groups: Groups, recipe: Recipe) -> Optimizer:
    """Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012)."""
    from torch.optim import RMSprop

    return RMSprop(groups, momentum=recipe.momentum)


@OPTIMIZERS.register("adagrad", "L2 --weight-decay; ignores --momentum")
def adagrad(groups: Groups, recipe: Recipe) -> Optimizer:
    """Duchi, Hazan and Singer, "Adaptive subgradient methods" (2011)."""
    from torch.optim import Adagrad

    return Adagrad(groups)
