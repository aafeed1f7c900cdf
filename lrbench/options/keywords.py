"""Keywords of `lrbench.compare` to options."""

from __future__ import annotations

from typing import Any

from lrbench import plugins
from lrbench.errors import UsageError
from lrbench.experiment import Options, refuse_unknown
from lrbench.options.commands import OBJECTS, Declared, flat


def from_python(given: Options, allowed: Declared) -> dict[str, Any]:
    """Keywords as the command line knows them: objects by their names, mappings of settings as
    text; those that are None are left out.

    Raises:
        UsageError: an unknown keyword, or a value of another type.
    """
    named = {key: value for key, value in given.items() if value is not None}
    refuse_unknown("compare", named, allowed)
    if "device" in named:
        named["device"] = str(named["device"])  # torch.device has this text
    for key in OBJECTS:
        if key in named and not isinstance(named[key], str):
            named[key] = _name_of(key, named[key])
    return {key: flat(allowed[key], value) for key, value in named.items()}


def _name_of(key: str, thing: Any) -> str:
    if key == "model" and hasattr(thing, "state_dict") and not isinstance(thing, type):
        raise UsageError(
            "model: it is a module that was made already, so that no seed can draw its weights",
            hint="pass a function or a class that makes one",
        )
    if key != "dataset" or callable(thing):
        return plugins.name_of(thing)

    def dataset() -> Any:
        return thing

    dataset.__qualname__ = "dataset"
    return plugins.name_of(dataset)
