"""The user's own optimizer: `module:Class`, or a function that makes one."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import UsageError

if TYPE_CHECKING:
    from torch.optim import Optimizer

OPTION = "--optimizer"


def takes(name: str, parameter: str) -> bool:
    """Whether the class has a parameter of that name; true if its signature is unknown."""
    try:
        return parameter in inspect.signature(plugins.load_callable(name, OPTION)).parameters
    except (TypeError, ValueError):
        return True


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether a step needs a function that computes the loss again, as LBFGS's does."""
    parameter = inspect.signature(optimizer.step).parameters.get("closure")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def make_own(
    name: str, groups: list[dict[str, Any]], lr: float, settings: dict[str, Any]
) -> Optimizer:
    """Call `Class(groups, **settings)`, with `lr=` if it has such a parameter. Each group brings
    its own `lr`, and its `weight_decay` if the class has one."""
    from torch.optim import Optimizer

    function: Any = plugins.load_callable(name, OPTION)
    if not takes(name, "weight_decay"):
        groups = [{k: v for k, v in group.items() if k != "weight_decay"} for group in groups]
    if takes(name, "lr"):
        settings = {"lr": lr, **settings}
    plugins.check_call(name, function, ("groups",), settings, option=OPTION)
    with plugins.blamed(name, OPTION):
        found = function(groups, **settings)
    if not isinstance(found, Optimizer) or len(found.param_groups) != len(groups):
        raise UsageError(
            f"{OPTION} {name}: it made {plugins.kind_of(found)}, not a torch Optimizer of the "
            f"{len(groups)} parameter groups that it was given"
        )
    if needs_closure(found):
        raise UsageError(f"{OPTION} {name}: its steps need a closure, which is not supported")
    return found
