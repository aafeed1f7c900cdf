"""Strings from users and plug-ins, made safe for a terminal, a legend or a spreadsheet."""

from collections.abc import Mapping
from typing import Any

from lrbench.analysis.names import short
from lrbench.errors import printable

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def clean(text: str, width: int = 120) -> str:
    """One line of at most `width` characters, without control characters.

    >>> clean("two\\nlines"), clean("a\\x1b[31mred")
    ('two lines', 'a�[31mred')
    """
    spaced = " ".join(str(text)[: 4 * width].split()) if len(text) <= 4 * width else str(text)
    shown = short(spaced, width)
    return printable(shown)


def subject(recipe: Mapping[str, Any]) -> str:
    """What was trained: `mnist5k · lenet · sgd`."""
    names = [recipe.get(name) for name in ("task", "dataset", "model", "optimizer")]
    return clean(" · ".join(str(name) for name in names if name))


def recipe_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The recipe of a run; empty if unknown."""
    recipe: Mapping[str, Any] = manifest.get("experiment", {}).get("recipe", {})
    return recipe


def no_formula(text: str) -> str:
    """The text, prefixed with an apostrophe if a spreadsheet would run it as a formula.

    >>> no_formula("=cmd()"), no_formula("cosine")
    ("'=cmd()", 'cosine')
    """
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text
