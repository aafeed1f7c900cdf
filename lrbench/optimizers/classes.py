"""The optimizers of torch.optim, and those of the extra `contenders`, which need no schedule.

Each group brings its own `lr` and `weight_decay`; `settings` are those of `--opt`. `fused` is one
kernel for all parameters: fastest, and bitwise reproducible. Optimizers with `train()` and `eval()`
methods hold one set of weights to train and another to evaluate; the training loop switches.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lrbench.optimizers import OPTIMIZERS
from lrbench.options import Recipe

if TYPE_CHECKING:
    from torch.optim import Optimizer

FUSED = {"fused": True}
# What --weight-decay is by default, as in torch: a gradient that is rescaled distorts an L2 decay.
NONE: Any = {"weight_decay": 0.0}
DECOUPLED: Any = {"weight_decay": 0.01}
SCHEDULE_FREE: Any = {"package": "schedulefree"}  # Defazio et al. (2024), arXiv:2405.15682
PRODIGY: Any = {
    "package": "prodigyopt",
    "usual_lr": 1.0,
}  # Mishchenko and Defazio (2023), 2306.06101


def _register(
    name: str,
    summary: str,
    path: str,
    from_recipe: Sequence[str] = (),
    defaults: dict[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Register the class at `path`, which takes the fields `from_recipe` besides its settings."""
    module, _, class_name = path.rpartition(".")
    momentum = {} if "momentum" in from_recipe else {"momentum": False}

    @OPTIMIZERS.register(name, summary, **momentum, **facts)
    def make(groups: list[dict[str, Any]], recipe: Recipe, **settings: Any) -> Optimizer:
        own = {field: getattr(recipe, field) for field in from_recipe}
        made: Optimizer = getattr(import_module(module), class_name)(
            groups, **{**own, **(defaults or {}), **settings}
        )
        return made


# v = momentum·v + g + decay·w; w = w - lr·v; with nesterov, w = w - lr·(g + momentum·v)
_register(
    "sgd", "with --momentum, --nesterov, L2 --weight-decay", "torch.optim.SGD",
    ("momentum", "nesterov"), FUSED, nesterov=True,
)  # fmt: skip
# Kingma and Ba (2014); Loshchilov and Hutter (2017)
_register(
    "adam", "betas 0.9 and 0.999, L2 --weight-decay", "torch.optim.Adam", defaults=FUSED, **NONE
)
_register(
    "adamw", "Adam with decoupled --weight-decay", "torch.optim.AdamW", defaults=FUSED, **DECOUPLED
)
# Duchi, Hazan and Singer (2011); Dozat (2016); Liu et al. (2019); Zeiler (2012)
_register("adagrad", "L2 --weight-decay", "torch.optim.Adagrad", **NONE)
_register("nadam", "Adam with Nesterov's momentum, L2 --weight-decay", "torch.optim.NAdam", **NONE)
_register("radam", "Adam that warms itself up, L2 --weight-decay", "torch.optim.RAdam", **NONE)
_register(
    "adadelta", "rho 0.9, L2 --weight-decay; its LR is near 1", "torch.optim.Adadelta", **NONE
)
# Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012)
_register(
    "rmsprop", "smoothing 0.99, with --momentum, L2 --weight-decay", "torch.optim.RMSprop",
    ("momentum",), **NONE,
)  # fmt: skip
# Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024)
_register(
    "muon", "Muon for matrices, AdamW for all else", "lrbench.optimizers.muon.MuonAdamW",
    **DECOUPLED,
)  # fmt: skip
_register(
    "schedulefree_sgd", "SGD without a schedule, --momentum above 0",
    "schedulefree.SGDScheduleFree", ("momentum",), **SCHEDULE_FREE,
)  # fmt: skip
_register(
    "schedulefree_adamw", "AdamW without a schedule", "schedulefree.AdamWScheduleFree",
    **SCHEDULE_FREE,
)  # fmt: skip
_register(
    "prodigy", "Adam that estimates its own LR; --lr is a factor, usually 1",
    "prodigyopt.Prodigy", **PRODIGY,
)  # fmt: skip
