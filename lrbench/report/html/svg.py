"""A matplotlib figure as a part of a page: letters in the page's font, colours of the page's theme,
series that can be switched, points that say their value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from lrbench.report.style import FAINT, INK, PALETTE, render
from lrbench.report.text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS_PER_INCH = 72
THEME = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    "#888888": "var(--axis)",
    "#ffffff": "var(--paper)",
    **{colour.lower(): f"var(--series-{place})" for place, colour in enumerate(PALETTE)},
}


@dataclass(frozen=True)
class Spot:
    """A place in data coordinates of some axes that says a text when somebody points at it."""

    axes: Axes
    x: float
    y: float
    text: str
    series: int | None = None


def inline(fig: Figure, name: str, about: str, spots: Iterable[Spot] = ()) -> Markup:
    """The figure as an `<svg>` whose identifiers begin with `name`; `about` is what a screen
    reader says."""
    text = render(fig, "svg", text=True).decode()
    text = text[text.index("<svg") : text.rindex("</svg>")]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r'<g id="series-(\d+)">', r'<g class="s\1">', text)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: THEME.get(found[0], found[0]), text)
    text = re.sub(r"\n\s*", "\n", text)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    label = escape(about)
    marks = "".join(_mark(spot, fig) for spot in spots)
    return Markup(
        f'<svg class="chart" {box[0]} role="img" aria-label="{label}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{body}<g class="spots">{marks}</g></svg>'
    )


def _mark(spot: Spot, fig: Figure) -> str:
    """A circle that cannot be seen; browsers show its title, the page's script shows it sooner."""
    if not (np.isfinite(spot.x) and np.isfinite(spot.y)):
        return ""
    x, y = spot.axes.transData.transform((spot.x, spot.y)) / fig.dpi * POINTS_PER_INCH
    left, bottom, right, top = (
        spot.axes.get_position().extents
        * np.tile([fig.get_figwidth(), fig.get_figheight()], 2)
        * POINTS_PER_INCH
    )
    if not (left - 2 <= x <= right + 2 and bottom - 2 <= y <= top + 2):
        return ""
    height = fig.get_figheight() * POINTS_PER_INCH
    kind = "spot" if spot.series is None else f"spot s{spot.series}"
    title = escape(clean(spot.text, 200))
    return (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{height - y:.1f}" r="5">'
        f"<title>{title}</title></circle>"
    )
