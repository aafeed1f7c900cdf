"""What a run's options only name: the user's source files, a file of weights, the data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lrbench import plugins
from lrbench.errors import UsageError
from lrbench.files import read_file
from lrbench.options import Recipe
from lrbench.schedules import parse


def code_of(recipe: Recipe, schedules: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256 of every source file of the user's that trainings depend on, and of the weights
    that they start from, by file. Imports the user's code.

    Raises:
        MachineError: the file of weights cannot be read.
    """
    found: dict[str, str] = {}
    for name in own_names(recipe, schedules):
        found |= plugins.sources(name)
    for option, file, path in _weights(recipe):
        found[file] = hashlib.sha256(read_file(path, option)).hexdigest()
    return found


def luggage(recipe: Recipe, schedules: Iterable[str]) -> dict[str, bytes]:
    """The contents of the user's own files, by path relative to the folder that holds them: what
    a machine needs that has none of them."""
    files = {file: path for _, file, path in _weights(recipe) if not Path(file).is_absolute()}
    for name in own_names(recipe, schedules):
        files |= plugins.source_files(name, installed=False)
    return {label: path.read_bytes() for label, path in files.items()}


def _weights(recipe: Recipe) -> Iterator[tuple[str, str, Path]]:
    for option, file in (("--weights", recipe.weights), ("--init-from", recipe.init_from)):
        path = Path(file).expanduser()
        if file and path.is_file():
            yield option, file, path


def own_names(recipe: Recipe, schedules: Iterable[str] = ()) -> Iterator[str]:
    """The parts of an experiment that are the user's, as `module:name`."""
    from lrbench.optimizers import parse_group

    parts = (recipe.task, recipe.dataset, recipe.model, recipe.optimizer, recipe.loss)
    groups = (parse_group(group).schedule for group in recipe.groups)
    for spec in (*schedules, *filter(None, groups)):
        yield from (call.name for call in parse(spec).all_calls() if plugins.is_own(call.name))
    yield from (name for name in (*parts, recipe.augment) if plugins.is_own(name))


def refuse_changes(before: Mapping[str, Any], code: Mapping[str, str], digest: Any) -> None:
    """Hold the code and the data of now against those in the manifest of a run that goes on.

    Raises:
        UsageError: a source file, the weights or the data are not what the run was begun with.
    """
    hint = "undo the change, or choose another folder with --out"
    known = before.get("code", {})
    for file, now in code.items():
        if known.get(file, now) != now:
            raise UsageError(f"{file} has changed since this run was started", hint=hint)
    data = before.get("data", {})
    if data.get("digest", digest) != digest:
        raise UsageError(
            f"the data of {data['name']} has changed since this run was started", hint=hint
        )
