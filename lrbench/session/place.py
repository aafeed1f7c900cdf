"""Where a run is kept, and the command that repeats it."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrbench.errors import MachineError
from lrbench.inputs import ONCE, REPEATABLE
from lrbench.options import Recipe


def run_name(command: str, recipe: Recipe, fingerprint: str) -> str:
    """`command-dataset-model-12345678` or `command-task-12345678`, in characters that every
    file system accepts."""
    problem = (recipe.task,) if recipe.task else (recipe.dataset.rpartition("/")[2], recipe.model)
    parts = (command, *problem, fingerprint[:8])
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-.") for part in parts)


def run_path(command: str, recipe: Recipe, fingerprint: str, out: Path | None) -> Path:
    """`out`, or a folder under `results/`. Raises MachineError if `out` is a file."""
    if out is not None and out.is_file():
        raise MachineError(f"--out {out}: it is a file, but a run needs a folder")
    return out if out is not None else Path("results") / run_name(command, recipe, fingerprint)


def command_line(command: str, options: Mapping[str, Any], out: Path) -> str:
    """The command that repeats a run, quoted for a shell."""
    words = ["lrbench", command]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else "--no-" + option[2:])
            continue
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        for item in items if name in REPEATABLE else [",".join(map(str, items))]:
            words += [option, str(item)]
    return shlex.join([*words, "--out", str(out)])


def lasting(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that belong in a manifest, as plain values."""
    plain = {name: str(v) if isinstance(v, Path) else v for name, v in options.items()}
    return {name: value for name, value in plain.items() if name not in ONCE}
