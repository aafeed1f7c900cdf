"""Optimizers by name, and the parameter groups that they step. An optimizer is one function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import UsageError
from lrbench.optimizers.groups import GroupSpec, assign, parse_group, parse_groups, without_decay
from lrbench.optimizers.own_optimizer import OPTION, make_own, takes
from lrbench.options import Recipe
from lrbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

# (torch parameter groups with lr and weight_decay, the recipe, **settings of --opt) -> optimizer
Make = Callable[..., "Optimizer"]
OPTIMIZERS: Registry[Make] = Registry("optimizer", "lrbench.optimizers", skip=("muon",))
WORDS: Mapping[str, Any] = {"true": True, "false": False, "none": None}
ELSEWHERE = {"lr": "--lr", "weight_decay": "--weight-decay", "params": "--group"}

__all__ = [
    "OPTIMIZERS", "GroupSpec", "build", "check", "check_given", "ignored", "parse_group",
    "parse_groups", "usual_lr",
]  # fmt: skip


def check(recipe: Recipe) -> None:
    """Refuse an invalid optimizer, group or setting without importing torch."""
    parse_groups(recipe.groups)
    parse_settings(recipe.optimizer_options)
    facts = _facts(recipe.optimizer)
    if recipe.nesterov and not facts.get("nesterov"):
        raise UsageError(f"--nesterov: {recipe.optimizer} has no Nesterov momentum; use sgd")
    if recipe.nesterov and recipe.momentum == 0:
        raise UsageError("--nesterov needs a --momentum above 0")


def check_given(recipe: Recipe, given: Collection[str]) -> None:
    """Refuse a momentum or a weight decay that the optimizer ignores, or takes by `--opt`."""
    own, name = plugins.is_own(recipe.optimizer), recipe.optimizer
    if "momentum" in given and recipe.momentum:
        if own:
            raise UsageError(f"--momentum is not handed to {name}", hint="use --opt momentum=0.9")
        if OPTIMIZERS.get(name).facts.get("momentum") is False:
            raise UsageError(
                f"--momentum: {name} has none",
                hint="leave it out; --opt sets what the optimizer's class takes, such as betas",
            )
    if "weight_decay" in given and own and recipe.weight_decay and not takes(name, "weight_decay"):
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
    """What is registered with an optimizer; nothing for the user's own."""
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
    """The recipe's optimizer over the model's trainable parameters, at the learning rate `lr`.

    Its parameter groups and the returned specs are in the same order: that of `recipe.groups`,
    where the first match wins, then all other parameters. With `no_decay_norms`, the biases and
    norms of a group without a weight decay of its own follow as a group with weight decay 0.

    Raises:
        UsageError: as `check`, a pattern that matches no trainable parameter, or settings that
            the optimizer does not accept.
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
        return make_own(name, groups, lr, settings)
    make = OPTIMIZERS.get(name).make
    try:
        return make(groups, recipe, **settings)
    except UsageError:
        raise
    except (TypeError, ValueError, RuntimeError) as fault:
        words = " ".join(str(fault).split())
        what = "--opt " + " ".join(recipe.optimizer_options) if settings else f"--optimizer {name}"
        raise UsageError(f"{what}: {words}") from fault


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """The settings of `--opt key=value`. A value is a number, True, False, None, a word, or several
    of these with commas between them (a tuple).

    >>> parse_settings(["betas=0.9,0.95", "amsgrad=true", "eps=1e-6", "mode=fast"])
    {'betas': (0.9, 0.95), 'amsgrad': True, 'eps': 1e-06, 'mode': 'fast'}
    """
    settings = {}
    for text in texts:
        key, _, value = (part.strip() for part in text.partition("="))
        if key in ELSEWHERE:
            raise UsageError(f"--opt {key}: give it with {ELSEWHERE[key]}")
        settings[key] = _value(value)
    return settings


def _value(text: str) -> Any:
    if "," in text:
        return tuple(_value(part.strip()) for part in text.strip("()[]").split(",") if part)
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
