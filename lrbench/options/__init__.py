"""What to run: frozen, validated specs with options, a canonical text and a fingerprint."""

from lrbench.options.arm import Arm, typed_arm
from lrbench.options.compare import (
    ONLY_AUTO,
    SIZE,
    TUNING_SEED,
    CompareSpec,
)
from lrbench.options.find import SWEEP_SEED, FindSpec, counted_seeds
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
from lrbench.options.recipe import Cell, Problem, Recipe, TrialSpec, problem_of
from lrbench.options.values import (
    Frozen,
    batch_sizes,
    canonical,
    differences,
    digest,
    duration_s,
    learning_rates,
    numbers,
    refused,
    split,
)

__all__ = [
    "ONLY_AUTO", "SIZE", "SWEEP_SEED", "TUNING_SEED", "Arm", "Cell", "CompareSpec", "FindSpec",
    "Frozen", "Host", "Opt", "Options", "Problem", "Recipe", "TrialSpec", "batch_sizes",
    "canonical", "changed", "counted_seeds", "differences", "digest", "duration_s",
    "learning_rates", "listed", "named", "numbers", "options_of", "problem_of", "refuse_unknown",
    "refused", "said", "split", "typed_arm", "with_keywords",
]  # fmt: skip
