"""What a run's options only name: the user's source files, a weights file, the data."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from lrbench import plugins
from lrbench.errors import UsageError
from lrbench.files import read_file
from lrbench.options import Recipe
from lrbench.schedules import parse


def code_of(recipes: Iterable[Recipe], schedules: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256, by file, of all user source files that trainings depend on, and of the weights
    they start from. Imports the user's code.

    Raises:
        MachineError: the weights file cannot be read.
    """
    found: dict[str, str] = {}
    recipes = tuple(recipes)
    for name in own_names(recipes, schedules):
        found |= plugins.sources(name)
    for option, file, path in _weights(recipes):
        found[file] = hashlib.sha256(read_file(path, option)).hexdigest()
    return found


def luggage(recipes: Sequence[Recipe], schedules: Iterable[str]) -> dict[str, bytes]:
    """The contents of the user's own files, by path relative to their folder, for a machine that
    does not have them."""
    files = {file: path for _, file, path in _weights(recipes) if not Path(file).is_absolute()}
    for name in own_names(recipes, schedules):
        files |= plugins.source_files(name, installed=False)
    return {label: path.read_bytes() for label, path in files.items()}


def _weights(recipes: Iterable[Recipe]) -> Iterator[tuple[str, str, Path]]:
    named = ((("--weights", each.weights), ("--init-from", each.init_from)) for each in recipes)
    for option, file in dict.fromkeys(chain.from_iterable(named)):
        path = Path(file).expanduser()
        if file and path.is_file():
            yield option, file, path


def own_names(recipes: Iterable[Recipe], schedules: Iterable[str] = ()) -> Iterator[str]:
    """The user's own parts of an experiment, as `module:name`."""
    from lrbench.optimizers import parse_group

    recipes = tuple(recipes)
    groups = (parse_group(group).schedule for each in recipes for group in each.groups)
    for spec in dict.fromkeys((*schedules, *filter(None, groups))):
        yield from (call.name for call in parse(spec).all_calls() if plugins.is_own(call.name))
    for each in recipes:
        parts = (each.task, each.dataset, each.model, each.optimizer, each.loss, each.augment)
        yield from filter(plugins.is_own, parts)


def refuse_changes(before: Mapping[str, Any], code: Mapping[str, str], digest: Any) -> None:
    """Compare the current code and data with those in the manifest of a resumed run.

    Raises:
        UsageError: a source file, the weights or the data have changed since the run began.
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
