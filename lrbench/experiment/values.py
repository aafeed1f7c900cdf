"""What specs are made of: bounded numbers, frozen values, one canonical text."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lrbench.schedules import parse


def refusal(fault: Mapping[str, Any]) -> str:
    """What is wrong with a field, in our words, from one of pydantic's `errors()`."""
    words = str(fault.get("ctx", {}).get("error", fault["msg"]))
    return words.replace("Input should be", "must be")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Finite = Annotated[float, AfterValidator(_finite)]
Positive = Annotated[Finite, Field(gt=0)]
Fraction = Annotated[Finite, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
BatchSize = Annotated[int, Field(ge=1)]
Momentum = Annotated[Finite, Field(ge=0, lt=1)]
Schedule = Annotated[str, AfterValidator(lambda text: str(parse(text)))]
Schedules = Annotated[
    tuple[Schedule, ...],
    Field(min_length=1, validate_default=True),
    AfterValidator(lambda names: tuple(dict.fromkeys(names))),
]


class Frozen(BaseModel):
    """A value: it does not change, refuses unknown fields, and has one canonical text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def canonical(self) -> str:
        """The text that identities are hashes of: equal values have equal texts."""
        return canonical(self.model_dump(mode="json"))


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces, without what is off (None, False or empty).

    A field that is off by default can thus be added later, and older values keep their text.

    >>> canonical({"lr": 0.1, "clip_norm": None, "groups": []})
    '{"lr":0.1}'
    """
    return json.dumps(_without_off(value), sort_keys=True, separators=(",", ":"))


def _without_off(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    kept = {key: _without_off(part) for key, part in value.items()}
    return {key: part for key, part in kept.items() if part or (part == 0 and part is not False)}


def digest(text: str, length: int = 12) -> str:
    """The first `length` hexadecimal characters of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
