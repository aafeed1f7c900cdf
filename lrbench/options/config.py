"""Options from a TOML file or a run's manifest, and back to TOML."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from lrbench.errors import MachineError, UsageError
from lrbench.experiment import SIZE, Recipe
from lrbench.options.names import COMPARE, FIND, RECIPE, TRAINING, TRIALS, Options
from lrbench.options.values import flat
from lrbench.registry import did_you_mean


def merged(given: Options, config: Path | None, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The options that were given, over those of the TOML file or of a run's manifest.

    Raises:
        UsageError: the file is neither, or holds a key that is no option.
        MachineError: the file cannot be read.
    """
    typed = {
        name: str(given[name]) if isinstance(given[name], Path) else given[name]
        for name in allowed
        if given.get(name) not in (None, [], ())
    }
    if config is None:
        return typed
    default = Recipe()
    told = {
        name: value
        for name, value in read_config(config, allowed).items()
        if name not in RECIPE or getattr(default, name, None) != value
    }  # a file that says all must not clash with --optimizer or --task on the command line
    return {**told, **typed}


def read_config(path: Path, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The options of a TOML file, or those that repeat the run of a `manifest.json`; a table of
    settings is their text."""
    command = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            found, command = _of_manifest(text, path)
        else:
            found = tomllib.loads(text)
    except OSError as fault:
        raise MachineError(f"--config {path}: {(fault.strerror or str(fault)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"--config {path}: {fault}") from None
    options = {key.replace("-", "_"): value for key, value in found.items()}
    for key in options:
        if key not in allowed:
            other = command and key in (*COMPARE, *FIND, *TRAINING, *TRIALS)
            hint = f"it is of lrbench {command}" if other else did_you_mean(key, allowed)
            raise UsageError(f"--config {path}: unknown key {key!r}", hint=hint)
    if len(options) < len(found):
        raise UsageError(f"--config {path}: an option is there twice, with - and with _")
    return {key: flat(key, value) for key, value in options.items()}


def _of_manifest(text: str, path: Path) -> tuple[dict[str, Any], str]:
    """All options of a run, and its command. Older manifests hold those that were given; where
    such a run was sized to a time budget, the size that it was given."""
    try:
        manifest = json.loads(text)
        command = str(manifest.get("command", ""))
        if "toml" in manifest:
            return tomllib.loads(manifest["toml"]), command
        options, experiment = dict(manifest["options"]), manifest["experiment"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"--config {path}: it is not the manifest of a run") from None
    if options.pop("time_budget", None) is not None:
        options |= {name: experiment[name] for name in SIZE}
    return options, command


def to_toml(options: Options) -> str:
    """The options as TOML; strings of JSON are strings of TOML, but for what is no ASCII."""

    def value_of(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")

    return "".join(
        f"{name} = {value_of(value)}\n" for name, value in options.items() if value is not None
    )
