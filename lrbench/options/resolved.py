"""Specs back to the options that they came from, defaults included: what a manifest repeats."""

from __future__ import annotations

from typing import Any

from lrbench import optimizers
from lrbench.errors import UsageError
from lrbench.experiment import CompareSpec, FindSpec, Host, Options, Recipe, options_of
from lrbench.options.checks import IMAGES
from lrbench.options.commands import ONCE, to_toml


def resolved_toml(spec: CompareSpec | FindSpec, given: Options) -> str:
    """A file for `--config` that means `spec` again, with what was `given` of where it runs."""
    host = {key: given[key] for key in options_of(Host) if key in given and key not in ONCE}
    return to_toml({**_all_options(spec), "device": "auto", **host})


def compare_options(spec: CompareSpec) -> dict[str, Any]:
    """All options of a comparison: `compare_spec` of them is the spec, unless it has grown by
    batch sizes below its first, which is named first here."""
    return _all_options(spec)


def _all_options(spec: CompareSpec | FindSpec) -> dict[str, Any]:
    return {**_recipe_options(spec.recipe), **shown(spec)}


def shown(spec: Any) -> dict[str, Any]:
    """The options of one spec as typed, those left out that have nothing to say."""
    found = {key: option.show(spec) for key, option in options_of(type(spec)).items()}
    return {key: value for key, value in found.items() if value not in (None, "")}


def _recipe_options(recipe: Recipe) -> dict[str, Any]:
    """Without those that are refused next to others, such as a model next to a task."""
    silent = {*(IMAGES if recipe.task else ())}
    silent |= {name for name in ("momentum", "weight_decay") if not _taken(recipe, name)}
    return {key: value for key, value in shown(recipe).items() if key not in silent}


def _taken(recipe: Recipe, name: str) -> bool:
    """Whether the optimizer takes what the option sets."""
    try:
        optimizers.check_given(recipe, (name,))
    except UsageError:
        return False
    return True
