"""Options from a TOML file or a run's manifest, and back to TOML."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from lrbench.errors import MachineError, UsageError
from lrbench.experiment import SIZE
from lrbench.options.names import Options
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
    return {**read_config(config, allowed), **typed}


def read_config(path: Path, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The options of a TOML file, or those that repeat the run of a `manifest.json`."""
    try:
        text = path.read_text(encoding="utf-8")
        found = _of_manifest(text, path) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as fault:
        raise MachineError(f"--config {path}: {(fault.strerror or str(fault)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"--config {path}: {fault}") from None
    options = {key.replace("-", "_"): value for key, value in found.items()}
    for key in options:
        if key not in allowed:
            raise UsageError(
                f"--config {path}: unknown key {key!r}", hint=did_you_mean(key, allowed)
            )
    return options


def _of_manifest(text: str, path: Path) -> dict[str, Any]:
    """The options of a run; where it was sized to a time budget, the size that it was given."""
    try:
        manifest = json.loads(text)
        options, experiment = dict(manifest["options"]), manifest["experiment"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"--config {path}: it is not the manifest of a run") from None
    if options.pop("time_budget", None) is not None:
        options |= {name: experiment[name] for name in SIZE}
    return options


def to_toml(options: Options) -> str:
    """The options as TOML; strings of JSON are strings of TOML, but for what is no ASCII."""

    def value_of(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")

    return "".join(
        f"{name} = {value_of(value)}\n" for name, value in options.items() if value is not None
    )
