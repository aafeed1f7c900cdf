"""An optimizer of torch that lrbench has no name for."""

from typing import Any

from lrbench.optimizers import OPTIMIZERS
from lrbench.options import Recipe


@OPTIMIZERS.register("adamax", "Adam with the infinity norm", momentum=False)
def adamax(groups: list[dict[str, Any]], recipe: Recipe, **settings: Any):
    from torch.optim import Adamax

    return Adamax(groups, **settings)
