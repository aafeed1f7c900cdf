"""The optimizers of torch.optim.

Each group brings its own `lr` and `weight_decay`; `settings` are those of `--opt`. `fused` is one
kernel for all parameters: fastest, and bitwise reproducible.
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


# Kingma and Ba (2014); Loshchilov and Hutter (2017); Duchi, Hazan and Singer (2011); Dozat (2016);
# Liu et al. (2019); Zeiler (2012)
WITHOUT_MOMENTUM = {
    "Adam": ("betas 0.9 and 0.999, L2 --weight-decay", {"fused": True}),
    "AdamW": ("Adam with decoupled --weight-decay", {"fused": True}),
    "Adagrad": ("L2 --weight-decay", {}),
    "NAdam": ("Adam with Nesterov's momentum, L2 --weight-decay", {}),
    "RAdam": ("Adam that warms itself up, L2 --weight-decay", {}),
    "Adadelta": ("rho 0.9, L2 --weight-decay; its LR is near 1", {}),
}


def _register(name: str, summary: str, defaults: dict[str, Any]) -> None:
    @OPTIMIZERS.register(name.lower(), summary, momentum=False)
    def make(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
        from torch import optim

        made: Optimizer = getattr(optim, name)(groups, **{**defaults, **settings})
        return made


for _name, (_summary, _defaults) in WITHOUT_MOMENTUM.items():
    _register(_name, _summary, _defaults)


@OPTIMIZERS.register("rmsprop", "smoothing 0.99, with --momentum, L2 --weight-decay")
def rmsprop(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012)."""
    from torch.optim import RMSprop

    return RMSprop(groups, **{"momentum": recipe.momentum, **settings})


@OPTIMIZERS.register("muon", "Muon for matrices, AdamW for all else", momentum=False)
def muon(groups: Groups, recipe: Recipe, **settings: Any) -> Optimizer:
    """Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024)."""
    from lrbench.optimizers.muon import MuonAdamW

    return MuonAdamW(groups, **settings)
