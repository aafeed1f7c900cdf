"""A matplotlib figure as part of a page: text in the page's font, colours of the page's theme,
series that can be toggled, and points that show their values."""

import re
from collections.abc import Iterator

import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from lrbench.report.plots.chart import Chart
from lrbench.report.plots.draw import figure_of
from lrbench.report.style import FAINT, INK, PALETTE, render
from lrbench.report.text import clean

POINTS_PER_INCH = 72
MOST_SPOTS = 60
THEME = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    "#888888": "var(--axis)",
    "#ffffff": "var(--paper)",
    **{colour.lower(): f"var(--series-{place})" for place, colour in enumerate(PALETTE)},
}


def picture(name: str, chart: Chart) -> dict[str, str]:
    """The chart's title, its note, and its `<svg>`, whose ids begin with `name`."""
    fig = figure_of(chart, page=True)
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
    spots = "".join(_spots(fig, chart))
    svg = Markup(
        f'<svg class="chart" {box[0]} role="img" aria-label="{escape(chart.title)}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{body}<g class="spots">{spots}</g></svg>'
    )
    return {"title": chart.title, "note": chart.note, "svg": svg}


def _spots(fig: Figure, chart: Chart) -> Iterator[str]:
    """An invisible circle for each point with a text; browsers show its title on hover, and the
    page's script shows it without delay."""
    size = np.array([fig.get_figwidth(), fig.get_figheight()]) * POINTS_PER_INCH
    for axes, panel in zip(fig.axes, chart.panels, strict=True):
        left, bottom, right, top = axes.get_position().extents * np.tile(size, 2)
        for line in panel.lines:
            step = -(-len(line.x) // MOST_SPOTS) or 1
            points = list(zip(line.x, line.y, line.texts, strict=False))[::-step]
            for x, y, text in points:
                x, y = axes.transData.transform((x, y)) / fig.dpi * POINTS_PER_INCH
                if left - 2 <= x <= right + 2 and bottom - 2 <= y <= top + 2:
                    yield (
                        f'<circle class="spot s{line.look.place}" cx="{x:.1f}" '
                        f'cy="{size[1] - y:.1f}" r="5"><title>{escape(clean(text, 200))}</title>'
                        "</circle>"
                    )
