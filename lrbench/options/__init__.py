"""The options of each command: from the command line, TOML or Python to specs, and back."""

from __future__ import annotations

from lrbench.options.commands import COMPARE, FIND, OBJECTS, ONCE, REPEATABLE, merged, to_toml
from lrbench.options.keywords import from_python
from lrbench.options.resolved import compare_options, resolved_toml
from lrbench.options.specs import compare_spec, executor_of, find_spec, host_of, recipe_of

__all__ = [
    "COMPARE", "FIND", "OBJECTS", "ONCE", "REPEATABLE", "compare_options", "compare_spec",
    "executor_of", "find_spec", "from_python", "host_of", "merged", "recipe_of",
    "resolved_toml", "to_toml",
]  # fmt: skip
