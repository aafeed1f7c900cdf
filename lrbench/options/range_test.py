"""`--range-test points=75,seeds=2`: the range test that `--lr auto` stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lrbench.errors import UsageError
from lrbench.experiment import SWEEP_SEED, FindSpec, refusal
from lrbench.optimizers.settings import parse_value
from lrbench.options.values import count
from lrbench.registry import did_you_mean

OPTION = "--range-test"
KEYS = (
    "points", "start_lr", "end_lr", "mode", "step", "rule", "window", "seeds", "verify",
    "verify_steps", "verify_seeds", "val_loss",
)  # fmt: skip
FORM = "write it like points=100,seeds=3"


def with_range_test(text: str, find: FindSpec) -> FindSpec:
    """The range test with what the text sets.

    >>> find = with_range_test("points=50,seeds=1", FindSpec())
    >>> find.points, len(find.seeds), find.end_lr
    (50, 1, 10.0)

    Raises:
        UsageError: not of that form, or a value that cannot be meant.
    """
    fields: dict[str, Any] = {}
    for part in str(text).split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise UsageError(f"{OPTION}: {part.strip()!r} is not of the form key=value", hint=FORM)
        if key not in KEYS:
            hint = did_you_mean(key, KEYS) or f"choose of {', '.join(KEYS)}"
            raise UsageError(f"{OPTION}: unknown key {key!r}", hint=hint)
        if key in fields:
            raise UsageError(f"{OPTION}: {key} is given twice")
        fields[key] = parse_value(value)
    if "seeds" in fields:
        seeds = count(fields["seeds"], most=10_000, name="range-test seeds")
        fields["seeds"] = range(SWEEP_SEED, SWEEP_SEED + seeds)
    if "rule" in fields:
        from lrbench.rangetest.rules import get_rule

        get_rule(str(fields["rule"]))
    try:
        found = FindSpec(**{**dict(find), **fields})
    except ValidationError as fault:
        first = fault.errors()[0]
        named = f"{OPTION} {first['loc'][0]}={first['input']}"
        raise UsageError(f"{named}: {refusal(first)}") from None
    if found.start_lr >= found.end_lr:
        raise UsageError(
            f"{OPTION}: start_lr={found.start_lr:g} must lie below end_lr={found.end_lr:g}"
        )
    return found


def range_test_text(find: FindSpec) -> str:
    """What gives the range test from any other: `with_range_test` read backwards.

    >>> range_test_text(FindSpec())[:47]
    'points=100,start_lr=1e-06,end_lr=10.0,mode=exp,'
    """
    fields: Mapping[str, Any] = {**dict(find), "seeds": len(find.seeds)}
    return ",".join(f"{key}={fields[key]}".lower() for key in KEYS)
