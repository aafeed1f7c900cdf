"""The optimizers of torch.optim.

Each group brings its own `lr` and `weight_decay`; `settings` are those of `--opt`. `fused` is one
kernel for all parameters: the fastest there is, and the same bits each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrbench.experiment import Recipe
from lrbench.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from torch.optim import Optimizer

Groups = list[dict[str, Any]]


@OPTIMIZERS.register("sgd", "with --momentum, --nesterov, L2 --weight-decay", nesterov=True)
def sgd(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """v = momentum·v + g + decay·w; w = w - lr·v. With nesterov, w = w - lr·(g + momentum·v)."""
    from torch.optim import SGD

    own = {"momentum": recipe.momentum, "nesterov": recipe.nesterov, "fused": True}
    return SGD(groups, **{**own, **settings})


@OPTIMIZERS.register("adam", "betas 0.9 and 0.999, L2 --weight-decay", momentum=False)
def adam(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Kingma and Ba, "Adam" (2014)."""
    from torch.optim import Adam

    return Adam(groups, **{"fused": True, **settings})


@OPTIMIZERS.register("adamw", "Adam with decoupled --weight-decay", momentum=False)
def adamw(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Loshchilov and Hutter, "Decoupled weight decay regularization" (2017)."""
    from torch.optim import AdamW

    return AdamW(groups, **{"fused": True, **settings})


@OPTIMIZERS.register("rmsprop", "smoothing 0.99, with --momentum, L2 --weight-decay")
def rmsprop(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012)."""
    from torch.optim import RMSprop

    return RMSprop(groups, **{"momentum": recipe.momentum, **settings})


@OPTIMIZERS.register("adagrad", "L2 --weight-decay", momentum=False)
def adagrad(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Duchi, Hazan and Singer, "Adaptive subgradient methods" (2011)."""
    from torch.optim import Adagrad

    return Adagrad(groups, **settings)


@OPTIMIZERS.register("nadam", "Adam with Nesterov's momentum, L2 --weight-decay", momentum=False)
def nadam(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Dozat, "Incorporating Nesterov momentum into Adam" (2016)."""
    from torch.optim import NAdam

    return NAdam(groups, **settings)


@OPTIMIZERS.register("radam", "Adam that warms itself up, L2 --weight-decay", momentum=False)
def radam(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Liu et al., "On the variance of the adaptive learning rate and beyond" (2019)."""
    from torch.optim import RAdam

    return RAdam(groups, **settings)


@OPTIMIZERS.register("adadelta", "rho 0.9, L2 --weight-decay; its LR is near 1", momentum=False)
def adadelta(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Zeiler, "ADADELTA: an adaptive learning rate method" (2012)."""
    from torch.optim import Adadelta

    return Adadelta(groups, **settings)


@OPTIMIZERS.register("muon", "Muon for matrices, AdamW for all else", momentum=False)
def muon(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024)."""
    from lrbench.optimizers.muon import MuonAdamW

    return MuonAdamW(groups, **settings)
