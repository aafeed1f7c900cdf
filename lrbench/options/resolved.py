"""Specs back to the options that they came from, defaults included: what a manifest repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lrbench import optimizers
from lrbench.errors import UsageError
from lrbench.experiment import CompareSpec, FindSpec, Recipe
from lrbench.options.config import to_toml
from lrbench.options.names import COMPARE, FIND, HOST, ONCE, RECIPE, TRAINING, TRIALS, Options
from lrbench.options.range_test import range_test_text
from lrbench.options.specs import FIELD_OPTIONS, IMAGES

FIELDS = {option: field for field, option in FIELD_OPTIONS.items()}


def resolved_toml(spec: CompareSpec | FindSpec, given: Options) -> str:
    """A file for `--config` that means `spec` again, and what was `given` of where it runs."""
    options = compare_options(spec) if isinstance(spec, CompareSpec) else find_options(spec)
    where = {name: given[name] for name in (*HOST, *TRIALS) if name in given and name not in ONCE}
    return to_toml({**options, "device": "auto", **where})


def compare_options(spec: CompareSpec) -> dict[str, Any]:
    """All options of a comparison: `compare_spec` of them is the spec, unless it has grown by
    batch sizes below its first, which is named first here."""
    sizes = dict.fromkeys((spec.recipe.batch_size, *spec.batch_sizes))
    fields = {
        **_fields(spec, COMPARE),
        "batch_size": joined(sizes) if spec.batch_sizes else None,
        "lr": "auto" if spec.auto else joined(spec.lrs),
        "lr_scaling": spec.lr_scaling or "none",
        "tuner": "halving" if spec.halving else "grid",
        "contender": [each.optimizer for each in spec.contenders],
        "budgets": joined(spec.budgets) or None,
        "time_budget": spec.time_budget_s and f"{spec.time_budget_s!r}s",
        "range_test": range_test_text(spec.find) if spec.auto else None,
    }
    return {**recipe_options(spec.recipe), **_said(fields)}


def find_options(spec: FindSpec) -> dict[str, Any]:
    """All options of a range test: `find_spec` of them is the spec."""
    fields = {
        **_fields(spec, FIND),
        "seeds": len(spec.seeds),
        "seed": spec.seeds[0],
        "batch_sizes": joined(spec.batch_sizes) or None,
        "momenta": joined(spec.momenta) or None,
    }
    return {**recipe_options(spec.recipe), **_said(fields)}


def recipe_options(recipe: Recipe) -> dict[str, Any]:
    """Those that are refused beside others, such as a model beside a task, are left out."""
    silent = {*(IMAGES if recipe.task else ())}
    silent |= {name for name in ("momentum", "weight_decay") if not _heard(recipe, name)}
    fields = {**_fields(recipe, (*RECIPE, *TRAINING)), "accumulate": recipe.micro_batches}
    return _said({name: value for name, value in fields.items() if name not in silent})


def joined(values: Iterable[Any]) -> str:
    """
    >>> joined((0.1, 1e-05))
    '0.1,1e-05'
    """
    return ",".join(map(repr, values))


def _fields(spec: CompareSpec | FindSpec | Recipe, names: Iterable[str]) -> dict[str, Any]:
    found = {name: getattr(spec, FIELDS.get(name, name), None) for name in names}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _heard(recipe: Recipe, name: str) -> bool:
    """Whether the optimizer takes what the option sets."""
    try:
        optimizers.check_given(recipe, (name,))
    except UsageError:
        return False
    return True
