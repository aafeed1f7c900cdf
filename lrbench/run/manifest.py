"""`manifest.json`: what a run is, with a checksum; checked once, when the run is opened."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError

from lrbench.errors import MachineError
from lrbench.files import read_if_any, replace_file
from lrbench.options import digest

SCHEMA_VERSION = 1


class Schema(BaseModel):
    """The fields of a manifest and their types. `material` is the digest of the code and data
    that the run began with; every journal of the run repeats it."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    schema_version: int
    command: Literal["compare", "find"]
    experiment: dict[str, Any]
    fingerprint: str
    material: str
    code: dict[str, str]
    data: dict[str, Any]
    lrbench: str
    machine: dict[str, Any]
    device: str
    threads: int
    options: dict[str, Any] = {}
    command_line: str = ""
    toml: str = ""
    steps_per_epoch: int | dict[str, int] = 0
    forced: list[str] = []
    torch_lines: dict[str, str] = {}
    scales: dict[str, list[float]] = {}


def material_of(code: Mapping[str, str], data: Mapping[str, Any]) -> str:
    """One digest of a run's code and data."""
    return digest(json.dumps([dict(code), data.get("digest")], sort_keys=True))


def read(path: Path) -> dict[str, Any] | None:
    """The manifest, or None if there is none.

    Raises:
        MachineError: it cannot be read, was changed, is not a manifest, or was written by a newer
            lrbench.
    """
    content = read_if_any(path)
    if content is None:
        return None
    try:
        found: dict[str, Any] = json.loads(content, parse_constant=_refuse_constant)
        version, checksum = int(found["schema_version"]), found.pop("checksum", None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MachineError(f"{path} is not the manifest of a run") from None
    if version > SCHEMA_VERSION:
        raise MachineError(
            f"{path} has schema {version}, but this lrbench reads up to {SCHEMA_VERSION}",
            hint="update torch-lrbench",
        )
    if checksum != _checksum(found):
        raise MachineError(
            f"{path} was changed or damaged after it was written",
            hint="undo the change, or choose another folder with --out",
        )
    try:
        Schema.model_validate(found)
    except ValidationError as fault:
        first = fault.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise MachineError(f"{path}: {field}: {first['msg'].lower()}") from None
    return found


def write(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write a manifest; returns it as `read` would."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **content}, allow_nan=False)
    body: dict[str, Any] = json.loads(text)  # JSON keys are text
    whole = {**body, "checksum": _checksum(body)}
    replace_file(path, (json.dumps(whole, indent=2) + "\n").encode())
    return body


def _checksum(body: Mapping[str, Any]) -> str:
    return digest(json.dumps(body, sort_keys=True), 16)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
