"""`--opt key=value`: optimizer settings without an option of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrbench.errors import UsageError

WORDS: Mapping[str, Any] = {"true": True, "false": False, "none": None}
ELSEWHERE = {"lr": "--lr", "weight_decay": "--weight-decay", "params": "--group"}


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """The settings by name. A value is a number, True, False, None, a word, or several of these
    with commas between them (a tuple).

    >>> parse_settings(["betas=0.9,0.95", "amsgrad=true", "eps=1e-6", "mode=fast"])
    {'betas': (0.9, 0.95), 'amsgrad': True, 'eps': 1e-06, 'mode': 'fast'}

    Raises:
        UsageError: a setting that has an option of its own.
    """
    settings = {}
    for text in texts:
        key, _, value = (part.strip() for part in text.partition("="))
        if key in ELSEWHERE:
            raise UsageError(f"--opt {key}: give it with {ELSEWHERE[key]}")
        settings[key] = parse_value(value)
    return settings


def parse_value(text: str) -> Any:
    if "," in text:
        return tuple(parse_value(part.strip()) for part in text.strip("()[]").split(",") if part)
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
