"""What is asked for: frozen, validated specs with options, canonical text and fingerprint."""

from __future__ import annotations

from lrbench.experiment.compare import (
    SIZE,
    TUNING_SEED,
    Cell,
    CompareSpec,
    Contender,
)
from lrbench.experiment.find import SWEEP_SEED, FindSpec
from lrbench.experiment.growth import differences
from lrbench.experiment.host import Host
from lrbench.experiment.option import (
    Opt,
    Options,
    changed,
    listed,
    named,
    options_of,
    refuse_unknown,
    with_keywords,
)
from lrbench.experiment.recipe import Recipe
from lrbench.experiment.trial import TrialSpec
from lrbench.experiment.values import (
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
    "Host", "Opt", "Options", "Recipe", "TrialSpec", "batch_sizes", "canonical",
    "changed", "differences", "digest", "duration_s", "learning_rates", "listed",
    "named", "options_of", "refusal", "refuse_unknown", "with_keywords",
]  # fmt: skip
