"""Optimizers, registered or the user's own, and their parameter groups. Each optimizer is one
function."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import UsageError
from lrbench.optimizers.groups import GroupSpec, assign, parse_group, parse_groups, without_decay
from lrbench.options import Recipe
from lrbench.options.values import pairs
from lrbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

# (torch parameter groups with lr and weight_decay, the recipe, **settings of --opt) -> optimizer
Make = Callable[..., "Optimizer"]
OPTIMIZERS: Registry[Make] = Registry("optimizer", "lrbench.optimizers", skip=("muon",))
OPTION = "--optimizer"
WORDS = ("true", "false", "none")
ELSEWHERE = {"lr": "--lr", "weight_decay": "--weight-decay", "params": "--group"}

__all__ = [
    "OPTIMIZERS", "GroupSpec", "build", "check", "check_given", "ignored", "needs_closure",
    "parse_group", "parse_groups", "usual_lr",
]  # fmt: skip


def check(recipe: Recipe) -> None:
    """Raise UsageError for an invalid optimizer, group or setting, without importing torch."""
    parse_groups(recipe.groups)
    settings = parse_settings(recipe.optimizer_options)
    facts = _facts(recipe.optimizer)
    if "nesterov" in settings and facts.get("nesterov"):
        raise UsageError("--opt nesterov: use --nesterov")
    if "momentum" in settings and facts and facts.get("momentum") is not False:
        raise UsageError("--opt momentum: use --momentum")
    if recipe.nesterov and not facts.get("nesterov"):
        raise UsageError(f"--nesterov: {recipe.optimizer} has no Nesterov momentum; use sgd")
    if recipe.nesterov and recipe.momentum == 0:
        raise UsageError("--nesterov needs a --momentum above 0")


def check_given(recipe: Recipe, given: Collection[str]) -> None:
    """Raise UsageError if a given momentum or weight decay is ignored by the optimizer or must be
    set with `--opt`."""
    own, name = plugins.is_own(recipe.optimizer), recipe.optimizer
    if "momentum" in given and recipe.momentum:
        if own:
            raise UsageError(f"--momentum is not passed to {name}", hint="use --opt momentum=0.9")
        if OPTIMIZERS.get(name).facts.get("momentum") is False:
            raise UsageError(
                f"--momentum: {name} has none",
                hint="leave it out; --opt sets the optimizer's own arguments, such as betas",
            )
    if "weight_decay" in given and own and recipe.weight_decay and not _takes(name, "weight_decay"):
        raise UsageError(f"--weight-decay: {name} has no parameter weight_decay")


def ignored(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings of a recorded recipe that its optimizer does not take."""
    name = recipe.get("optimizer", "")
    registered = OPTIMIZERS.get(name).facts if name in OPTIMIZERS else {}
    return ("momentum",) if registered.get("momentum") is False else ()


def usual_lr(name: str) -> float | None:
    """The usual learning rate of an optimizer; None if it needs a range test."""
    usual: float | None = _facts(name).get("usual_lr")
    return usual


def _facts(name: str) -> Mapping[str, Any]:
    """The facts registered for an optimizer; empty for the user's own."""
    if plugins.is_own(name):
        plugins.load_callable(name, OPTION)
        return {}
    facts = OPTIMIZERS.get(name, option=OPTION).facts
    package = facts.get("package")
    if package and find_spec(package) is None:
        raise UsageError(
            f"{name} is in the package {package}, which is not installed",
            hint="pip install 'torch-lrbench[contenders]'",
        )
    return facts


def build(recipe: Recipe, model: nn.Module, lr: float) -> tuple[Optimizer, tuple[GroupSpec, ...]]:
    """The optimizer of the model's trainable parameters at `lr`, and the specs of its groups.

    Groups follow the order of `recipe.groups` (the first match wins), then come all other
    parameters. With `no_decay_norms`, the biases and norms of a group that sets no weight decay
    follow it as a group with weight decay 0.

    Raises:
        UsageError: `check` fails, a pattern matches no trainable parameter, nothing is left to
            train, or the optimizer rejects its settings.
    """
    check(recipe)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    members = assign(list(parameters), parse_groups(recipe.groups))
    if recipe.no_decay_norms:  # biases and norms have at most one dimension
        spared = {name for name, parameter in parameters.items() if parameter.ndim <= 1}
        members = list(without_decay(members, spared))
    if all(group.freeze or group.lr(lr) == 0 for group, _ in members):
        raise UsageError("--group: freeze or lr=0 leaves nothing to train in the first epoch")
    groups = []
    for group, names in members:
        decay = recipe.weight_decay if group.weight_decay is None else group.weight_decay
        params = [parameters[name] for name in names]
        groups.append({"params": params, "lr": group.lr(lr), "weight_decay": decay})
    return _make(recipe, groups, lr), tuple(group for group, _ in members)


def _make(recipe: Recipe, groups: list[dict[str, Any]], lr: float) -> Optimizer:
    name, settings = recipe.optimizer, parse_settings(recipe.optimizer_options)
    if plugins.is_own(name):
        return _make_own(name, groups, lr, settings)
    try:
        return OPTIMIZERS.get(name).make(groups, recipe, **settings)
    except UsageError:
        raise
    except (TypeError, ValueError, RuntimeError) as fault:
        words = " ".join(str(fault).split())
        what = "--opt " + " ".join(recipe.optimizer_options) if settings else f"--optimizer {name}"
        raise UsageError(f"{what}: {words}") from fault


def _make_own(
    name: str, groups: list[dict[str, Any]], lr: float, settings: dict[str, Any]
) -> Optimizer:
    """Call the user's `Class(groups, **settings)`, with `lr=` if it has that parameter. Each
    group has its own `lr`, and its `weight_decay` if the class takes one."""
    from torch.optim import Optimizer

    function: Any = plugins.load_callable(name, OPTION)
    if not _takes(name, "weight_decay"):
        groups = [{k: v for k, v in group.items() if k != "weight_decay"} for group in groups]
    if _takes(name, "lr"):
        settings = {"lr": lr, **settings}
    plugins.check_call(name, function, ("groups",), settings, option=OPTION)
    with plugins.blamed(name, OPTION):
        found = function(groups, **settings)
    if not isinstance(found, Optimizer) or len(found.param_groups) != len(groups):
        raise UsageError(
            f"{OPTION} {name}: it made {plugins.kind_of(found)}, not a torch Optimizer of the "
            f"{len(groups)} parameter groups it was given"
        )
    if needs_closure(found):
        raise UsageError(f"{OPTION} {name}: its steps need a closure, which is not supported")
    return found


def _takes(name: str, parameter: str) -> bool:
    """True if the user's class has a parameter of that name, or if its signature is unknown."""
    try:
        return parameter in inspect.signature(plugins.load_callable(name, OPTION)).parameters
    except (TypeError, ValueError):
        return True


def needs_closure(optimizer: Optimizer) -> bool:
    """True if a step needs a function that recomputes the loss, as with LBFGS."""
    parameter = inspect.signature(optimizer.step).parameters.get("closure")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """The settings of `--opt key=value`. A value is a Python literal, such as a number, True, None
    or several numbers separated by commas (a tuple); anything else is a string.

    >>> parse_settings(["betas=0.9,0.95", "amsgrad=true", "eps=1e-6", "mode=fast"])
    {'betas': (0.9, 0.95), 'amsgrad': True, 'eps': 1e-06, 'mode': 'fast'}
    """
    settings = pairs(texts)
    for key in settings:
        if key in ELSEWHERE:
            raise UsageError(f"--opt {key}: use {ELSEWHERE[key]}")
    return {key: _value(value) for key, value in settings.items()}


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text.title() if text.lower() in WORDS else text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return text
