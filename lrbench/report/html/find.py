"""The page of a range test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lrbench.rangetest.result import FindResult
from lrbench.report.find_console import (
    CELL_COLUMNS,
    fact_lines,
    next_command,
    number,
    written,
)
from lrbench.report.find_plot import draw, loss_name
from lrbench.report.html.page import facts, machine_facts, render
from lrbench.report.html.ranking import Cell
from lrbench.report.html.svg import THEME, Spot, inline
from lrbench.report.style import figure
from lrbench.report.text import clean

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

SIZE = (7.0, 4.6)
GRADES = {
    "ok": "can be trusted",
    "weak": "to be used with care",
    "none": "no learning rate can be defended",
}


def find_page(result: FindResult, manifest: Mapping[str, Any]) -> str:
    """The whole page as text; `manifest` is that of the run, for the machine and the command."""
    recipe = result.settings.get("recipe") or result.settings
    names = [str(recipe[name]) for name in ("model", "dataset", "optimizer") if recipe.get(name)]
    svg, legend = _chart(result)
    plan = {k: v for k, v in result.settings.items() if k != "recipe"}
    parts = {
        "Recipe": facts(recipe) if recipe is not result.settings else [],
        "Range test": facts(plan),
        "Data": facts(manifest.get("data", {})),
        "Machine": machine_facts(manifest),
    }
    return render(
        "find.html.j2",
        title="LR range test" + (f": {clean(' · '.join(names))}" if names else ""),
        lr=None if result.lr is None else f"{result.lr:.3g}",
        grade=result.grade,
        grade_means=GRADES[result.grade],
        reasons=[clean(reason, 2000) for reason in result.reasons],
        answers=list(fact_lines(result)) if result.lr is not None else [],
        chart=svg,
        legend=legend,
        rules=_rules(result),
        trainings=_trainings(result),
        steps=(result.verification or {}).get("steps"),
        cells=_cells(result),
        cell_heads=list(CELL_COLUMNS),
        next=next_command(result).removeprefix("next: "),
        command=manifest.get("command_line", ""),
        facts={title: rows for title, rows in parts.items() if rows},
    )


def _chart(result: FindResult) -> tuple[Markup, list[dict[str, Any]]]:
    """The picture, and the parts of it that can be switched on and off."""
    fig = figure(*SIZE)
    axes = draw(result, fig.add_subplot())
    axes.set_title("", loc="left")
    drawn = axes.get_legend()
    if drawn is not None:
        drawn.remove()
    legend = _name_parts(axes)
    about = f"{loss_name(result)} against the learning rate"
    return inline(fig, "sweep", about, _spots(axes, result)), legend


def _name_parts(axes: Axes) -> list[dict[str, Any]]:
    """Give what looks alike one name, and list the names."""
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    kind: tuple[Any, ...]
    found: dict[tuple[Any, ...], int] = {}
    legend: list[dict[str, Any]] = []
    for artist in [*axes.lines, *axes.patches]:
        if isinstance(artist, Line2D):
            colour = to_hex(artist.get_color())
            kind = (colour, artist.get_linestyle(), artist.get_marker())
        else:
            assert isinstance(artist, Patch)
            colour = to_hex(artist.get_facecolor())
            kind = (colour, "area")
        label = str(artist.get_label())
        if label and not label.startswith("_"):
            found[kind] = len(legend)
            legend.append(
                {"place": len(legend), "colour": THEME.get(colour, colour), "name": label}
            )
        artist.set_gid(f"series-{found[kind]}")
    return legend


def _spots(axes: Axes, result: FindResult) -> Iterator[Spot]:
    for point in result.curve:
        if point.smoothed is not None:
            text = f"seed {point.seed}, LR {point.lr:.3g}: loss {number(point.loss)}, "
            text += f"smoothed {point.smoothed:.3g}"
            yield Spot(axes, point.lr, point.smoothed, text)
    for lr, loss in (result.verification or {}).get("losses", ()):
        if loss is not None:
            yield Spot(axes, lr, loss, f"trained at constant LR {lr:.3g}: loss {loss:.4f}")


def _rules(result: FindResult) -> list[list[Cell]]:
    used = result.settings.get("rule")
    return [
        [Cell(f"{name} (used)" if name == used else name, name), Cell(number(lr), lr)]
        for name, lr in result.rules.items()
    ]


def _cells(result: FindResult) -> list[list[Cell]]:
    return [
        [Cell(written(row[name]), row[name]) for name in CELL_COLUMNS.values()]
        for row in result.table
    ]


def _trainings(result: FindResult) -> list[list[Cell]]:
    losses = (result.verification or {}).get("losses", ())
    return [
        [Cell(f"{lr:.3g}", lr), Cell("diverged" if loss is None else f"{loss:.4f}", loss)]
        for lr, loss in losses
    ]
