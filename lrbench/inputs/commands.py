"""The options of each command, and their values from TOML, a manifest or Python keywords."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lrbench import plugins
from lrbench.data import defaults_of
from lrbench.errors import UsageError
from lrbench.files import read_file
from lrbench.optimizers import OPTIMIZERS
from lrbench.options import (
    CompareSpec,
    FindSpec,
    Host,
    Opt,
    Options,
    Recipe,
    listed,
    options_of,
    refuse_unknown,
)
from lrbench.registry import did_you_mean

Declared = Mapping[str, Opt]


def declared(command: Literal["find", "compare"], *specs: type) -> dict[str, Opt]:
    """The options of a command by key; a later spec takes precedence."""
    return {
        key: option
        for spec in specs
        for key, option in options_of(spec).items()
        if option.command in ("", command)
    }


FIND = declared("find", Recipe, FindSpec, Host)
COMPARE = declared("compare", Recipe, CompareSpec, Host)
_ALL = {**FIND, **COMPARE}
REPEATABLE = frozenset(key for key, option in _ALL.items() if option.repeatable)
ONCE = frozenset(key for key, option in _ALL.items() if option.once)
OBJECTS = tuple(key for key, option in _ALL.items() if option.own)
"""Options that take `module:name` or, in Python, an object."""


def merged(given: Options, config: Path | None, allowed: Declared) -> dict[str, Any]:
    """The given options, on top of those in a TOML file or a run's manifest. Raises UsageError for
    any other file or an unknown key, MachineError if the file cannot be read."""
    typed = {
        key: str(given[key]) if isinstance(given[key], Path) else given[key]
        for key in allowed
        if given.get(key) not in (None, [], ())
    }
    if config is None:
        return typed
    found = _read_config(config, allowed)
    own = own_defaults(found)
    defaults = {key: option.default for key, option in options_of(Recipe).items()} | own
    if "batch_size" in own:  # keep it if another dataset is named
        del defaults["batch_size"]
    configured = {
        key: value for key, value in found.items() if key not in defaults or defaults[key] != value
    }  # defaults in the file must not clash with --optimizer or --task
    return {**configured, **typed}


def own_defaults(options: Options) -> dict[str, Any]:
    """The defaults of the dataset and of the optimizer."""
    dataset = "" if options.get("task") else options.get("dataset", Recipe().dataset)
    optimizer = options.get("optimizer", Recipe().optimizer)
    of_data = defaults_of(dataset)
    of_optimizer = OPTIMIZERS.get(optimizer).facts if optimizer in OPTIMIZERS else {}
    found = dict.fromkeys(("batch_size", "model", "metric"), of_data)
    found["weight_decay"] = of_optimizer
    return {key: facts[key] for key, facts in found.items() if key in facts}


def flat(option: Opt, value: Any) -> Any:
    """A value from a file or Python in the form users type; a mapping of settings becomes text.

    >>> flat(COMPARE["early_stop"], {"patience": 5}), flat(COMPARE["opt"], {"betas": (0.9, 0.95)})
    ('patience=5', ['betas=0.9,0.95'])
    """
    flag = option.flag
    if isinstance(value, Mapping):
        if not option.settings:
            wanted = "a list of texts" if option.repeatable else "one value"
            raise UsageError(f"{flag}: must be {wanted}, not a table of settings")
        pairs = [f"{key}={','.join(map(str, listed(v)))}" for key, v in value.items()]
        return pairs if option.repeatable else ",".join(pairs)
    if option.kind is bool and not isinstance(value, bool):
        raise UsageError(f"{flag} {value}: must be true or false")
    if option.kind in (int, float, object) and any(isinstance(x, bool) for x in listed(value)):
        raise UsageError(f"{flag} {value}: must be a number")
    parts = listed(value) if option.repeatable else [value]
    texts = option.repeatable or option.kind in (str, Path)
    if texts and not all(isinstance(part, (str, Path)) for part in parts):
        hint = "name your own as 'module:name'" if any(map(callable, parts)) else ""
        raise UsageError(f"{flag} {value}: must be text", hint=hint)
    if option.kind is object and not listed(value):
        raise UsageError(f"{flag}: the list is empty", hint="leave it out for the default")
    return parts if option.repeatable else value


def to_toml(options: Options) -> str:
    """The options as TOML. JSON strings are valid TOML strings once DEL is escaped."""
    texts = {
        name: json.dumps(value, ensure_ascii=False, default=str)
        for name, value in options.items()
        if value is not None
    }
    lines = "".join(f"{name} = {text}\n" for name, text in texts.items())
    return lines.replace("\x7f", "\\u007f")


def _read_config(path: Path, allowed: Declared) -> dict[str, Any]:
    command = ""
    content = read_file(path, "--config")
    try:
        text = content.decode("utf-8-sig")
        if path.suffix == ".json":
            text, command = _of_manifest(text)
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # also for thousands of digits or brackets
        raise UsageError(f"--config {path}: {fault}") from None
    options = {key.replace("-", "_"): value for key, value in found.items()}
    for key in options:
        if key not in allowed:
            other = command and key in _ALL
            hint = f"it belongs to lrbench {command}" if other else did_you_mean(key, allowed)
            raise UsageError(f"--config {path}: unknown key {key!r}", hint=hint)
    if len(options) < len(found):
        raise UsageError(f"--config {path}: an option is given twice, with - and with _")
    return {key: flat(allowed[key], value) for key, value in options.items()}


def _of_manifest(text: str) -> tuple[str, str]:
    """The options of a run as TOML, and its command; raises ValueError if it is not a manifest."""
    try:
        manifest = json.loads(text)
        return str(manifest["toml"]), str(manifest["command"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("not the manifest of a run") from None


def from_python(given: Options, allowed: Declared) -> dict[str, Any]:
    """Keywords in command-line form: objects by name, mappings of settings as text, None left out.
    Raises UsageError for an unknown or invalid one."""
    named = {key: value for key, value in given.items() if value is not None}
    refuse_unknown("compare", named, allowed)
    if "device" in named:
        named["device"] = str(named["device"])  # for a torch.device
    for key in OBJECTS:
        if key in named and not isinstance(named[key], str):
            named[key] = _name_of(key, named[key])
    return {key: flat(allowed[key], value) for key, value in named.items()}


def _name_of(key: str, thing: Any) -> str:
    if key == "model" and hasattr(thing, "state_dict") and not isinstance(thing, type):
        raise UsageError(
            "model: this module already has its weights, so seeds cannot set them",
            hint="pass a function or a class that makes one",
        )
    if key != "dataset" or callable(thing):
        return plugins.name_of(thing)

    def dataset() -> Any:
        return thing

    dataset.__qualname__ = "dataset"
    return plugins.name_of(dataset)
