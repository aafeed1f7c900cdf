"""The options of each command: from the command line, TOML or Python to specs, and back."""

from lrbench.inputs.commands import (
    COMPARE,
    FIND,
    OBJECTS,
    ONCE,
    REPEATABLE,
    from_python,
    merged,
    to_toml,
)
from lrbench.inputs.convert import (
    all_options,
    compare_spec,
    extrapolating,
    find_spec,
    host_of,
    recipe_of,
    resolved_toml,
)

__all__ = [
    "COMPARE", "FIND", "OBJECTS", "ONCE", "REPEATABLE", "all_options", "compare_spec",
    "extrapolating", "find_spec", "from_python", "host_of", "merged", "recipe_of", "resolved_toml",
    "to_toml",
]  # fmt: skip
