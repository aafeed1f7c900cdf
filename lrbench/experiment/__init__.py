"""What is asked for: frozen, validated, with a canonical text and a fingerprint."""

from __future__ import annotations

from lrbench.experiment.compare import SIZE, TUNING_SEED, Cell, CompareSpec, Contender, differences
from lrbench.experiment.find import SWEEP_SEED, FindSpec
from lrbench.experiment.recipe import Recipe
from lrbench.experiment.trial import TrialSpec
from lrbench.experiment.values import Frozen, canonical, digest, refusal

__all__ = [
    "SIZE", "SWEEP_SEED", "TUNING_SEED", "Cell", "CompareSpec", "Contender", "FindSpec", "Frozen",
    "Recipe", "TrialSpec", "canonical", "differences", "digest", "refusal",
]  # fmt: skip
