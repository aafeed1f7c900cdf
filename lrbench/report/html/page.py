"""Fills in a page template: all values escaped, style and script inlined."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lrbench.report.style import PALETTE
from lrbench.report.text import clean

Facts = Iterator[tuple[str, str]]
LONGEST = 20_000
ON_BLACK = (
    "#58a6e8", "#ff8f4d", "#2fc99a", "#e6a3cb", "#f5b841", "#7fd0ff", "#c4c4c4", "#d66aa0",
    "#cccc66", "#8f83e0",
)  # fmt: skip


def fill(template: str, **values: Any) -> str:
    """The template filled in, with all values escaped."""
    return _environment().get_template(template).render(**values)


def render(template: str, **values: Any) -> str:
    """A page: the template filled in, with style and script."""
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return fill(
        template,
        style=Markup(_asset("page.css")),
        script=Markup(script),
        script_digest=digest,
        series=list(zip(PALETTE, ON_BLACK, strict=True)),
        **values,
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("lrbench.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["clean"] = clean
    return made


def _asset(name: str) -> str:
    return (files("lrbench.report.html") / "templates" / name).read_text(encoding="utf-8")


def _visible(value: Any) -> Any:
    """Text without invisible or direction-changing characters, cut if very long."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    shown = value if len(value) <= LONGEST else value[:LONGEST] + "…"
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in shown)


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of the run in this folder; empty without one."""
    try:
        found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def facts(found: Mapping[str, Any], leave: tuple[str, ...] = (), prefix: str = "") -> Facts:
    """(name, text) of each value that is set, nested names joined by a dot."""
    for key, value in found.items():
        if key in leave or value in (None, "", [], (), {}, False):
            continue
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from facts(value, leave, f"{name}.")
        else:
            parts = value if isinstance(value, (list, tuple)) else [value]
            texts = (f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
            yield name, ", ".join(texts)
