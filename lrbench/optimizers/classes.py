"""The optimizers of torch.optim, and those of the extra `contenders`, which need no schedule.

Each group has its own `lr` and `weight_decay`; `settings` come from `--opt`. `fused` runs one
kernel for all parameters, which is fastest and bitwise reproducible. Optimizers with `train()` and
`eval()` methods keep separate weights for training and evaluation; the training loop switches.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lrbench.optimizers import OPTIMIZERS
from lrbench.options import Recipe

if TYPE_CHECKING:
    from torch.optim import Optimizer


def _register(
    name: str, summary: str, path: str, *from_recipe: str, fused: bool = False, **facts: Any
) -> None:
    """Register a class by its path, in torch.optim if the path names no module. The class gets the
    recipe's fields `from_recipe` as well as its settings."""
    module, _, class_name = path.rpartition(".")
    usual = {"fused": True} if fused else {}
    if "momentum" not in from_recipe:
        facts["momentum"] = False

    @OPTIMIZERS.register(name, summary, **facts)
    def make(groups: list[dict[str, Any]], recipe: Recipe, **settings: Any) -> Optimizer:
        own = {field: getattr(recipe, field) for field in from_recipe}
        optimizer_class = getattr(import_module(module or "torch.optim"), class_name)
        made: Optimizer = optimizer_class(groups, **{**own, **usual, **settings})
        return made


# `weight_decay` is the default of --weight-decay, as in torch: 0 where gradients are rescaled,
# which would distort L2 decay.
# v = momentum·v + g + decay·w; w = w - lr·v; with nesterov, w = w - lr·(g + momentum·v)
_register(
    "sgd", "with --momentum, --nesterov, L2 --weight-decay", "SGD",
    "momentum", "nesterov", fused=True, nesterov=True,
)  # fmt: skip
# Kingma and Ba (2014); Loshchilov and Hutter (2017)
_register("adam", "betas 0.9 and 0.999, L2 --weight-decay", "Adam", fused=True, weight_decay=0.0)
_register("adamw", "Adam with decoupled --weight-decay", "AdamW", fused=True, weight_decay=0.01)
# Duchi, Hazan and Singer (2011); Dozat (2016); Liu et al. (2019); Zeiler (2012)
_register("adagrad", "L2 --weight-decay", "Adagrad", weight_decay=0.0)
_register("nadam", "Adam with Nesterov's momentum, L2 --weight-decay", "NAdam", weight_decay=0.0)
_register("radam", "Adam with built-in warm-up, L2 --weight-decay", "RAdam", weight_decay=0.0)
_register("adadelta", "rho 0.9, L2 --weight-decay; its LR is near 1", "Adadelta", weight_decay=0.0)
# Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012)
_register(
    "rmsprop", "smoothing 0.99, with --momentum, L2 --weight-decay", "RMSprop",
    "momentum", weight_decay=0.0,
)  # fmt: skip
# Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024)
_register(
    "muon", "Muon for matrices, AdamW for everything else", "lrbench.optimizers.muon.MuonAdamW",
    weight_decay=0.01,
)  # fmt: skip
# Defazio et al., "The road less scheduled" (2024), arXiv:2405.15682
_register(
    "schedulefree_sgd", "SGD without a schedule, --momentum above 0",
    "schedulefree.SGDScheduleFree", "momentum", package="schedulefree",
)  # fmt: skip
_register(
    "schedulefree_adamw", "AdamW without a schedule", "schedulefree.AdamWScheduleFree",
    package="schedulefree",
)  # fmt: skip
# Mishchenko and Defazio (2023), arXiv:2306.06101
_register(
    "prodigy", "Adam that estimates its own LR; --lr is a factor, usually 1",
    "prodigyopt.Prodigy", package="prodigyopt", usual_lr=1.0,
)  # fmt: skip
