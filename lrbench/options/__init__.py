"""What is asked for: frozen, validated specs with options, canonical text and fingerprint."""

from __future__ import annotations

from lrbench.options.compare import (
    SIZE,
    TUNING_SEED,
    Cell,
    CompareSpec,
    Contender,
)
from lrbench.options.find import SWEEP_SEED, FindSpec
from lrbench.options.growth import differences
from lrbench.options.host import Host
from lrbench.options.option import (
    Opt,
    Options,
    changed,
    listed,
    named,
    options_of,
    refuse_unknown,
    said,
    with_keywords,
)
from lrbench.options.recipe import Problem, Recipe, TrialSpec, problem_of
from lrbench.options.values import (
    Frozen,
    batch_sizes,
    canonical,
    digest,
    duration_s,
    learning_rates,
    refusal,
)

__all__ = [
    "SIZE", "SWEEP_SEED", "TUNING_SEED", "Cell", "CompareSpec", "Contender", "FindSpec", "Frozen",
    "Host", "Opt", "Options", "Problem", "Recipe", "TrialSpec", "batch_sizes", "canonical",
    "changed", "differences", "digest", "duration_s", "learning_rates", "listed",
    "named", "options_of", "problem_of", "refusal", "refuse_unknown", "said", "with_keywords",
]  # fmt: skip
