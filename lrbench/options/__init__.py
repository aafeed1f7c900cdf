"""Options as people type them, on the command line or in a TOML file, and the specs they mean."""

from __future__ import annotations

from lrbench.options.config import merged, to_toml
from lrbench.options.host import executor_of, host_of
from lrbench.options.names import (
    COMPARE,
    FIND,
    HOST,
    ONCE,
    RECIPE,
    REPEATABLE,
    TRAINING,
    TRIALS,
)
from lrbench.options.resolved import compare_options, find_options, resolved_toml
from lrbench.options.specs import compare_spec, find_spec, recipe_of
from lrbench.options.values import duration_s, learning_rates

__all__ = [
    "COMPARE", "FIND", "HOST", "ONCE", "RECIPE", "REPEATABLE", "TRAINING", "TRIALS",
    "compare_options", "compare_spec", "duration_s", "executor_of", "find_options", "find_spec",
    "host_of", "learning_rates", "merged", "recipe_of", "resolved_toml", "to_toml",
]  # fmt: skip
