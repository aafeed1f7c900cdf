"""A table as plain data, made from a frame and its columns, for every output format."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pandas import DataFrame

from lrbench.analysis.amounts import loss_form, margin
from lrbench.analysis.question import is_accuracy, metric_words
from lrbench.analysis.tidy import Column, Columns
from lrbench.report.text import clean

MISSING = "·"


@dataclass(frozen=True)
class Cell:
    """The text shown, the key to sort by (None last), and the name of the column."""

    text: str
    key: float | str | None = None
    name: str = ""


@dataclass(frozen=True)
class Table:
    """Headings and rows of cells. `sections` are the indices of rows that start a new ranking."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    sections: tuple[int, ...] = ()

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """For each column: `number` (right-aligned), `words` (may wrap), or empty."""
        return tuple(map(self._kind, range(len(self.heads))))

    def _kind(self, column: int) -> str:
        keys = [row[column].key for row in self.rows]
        if all(key is None or isinstance(key, (int, float)) for key in keys):
            return "number"
        return "words" if max(len(str(key)) for key in keys) > 24 else ""


def table(
    frame: DataFrame,
    columns: Columns,
    *views: str,
    metric: str = "",
    reference: str = "",
    caption: str = "",
) -> Table:
    """The titled columns of these views, or of all if none is given, formatted for people. `metric`
    names the metric of the values, `reference` is a name for the headings."""
    rows = records(frame)
    shown = [
        column
        for column in sorted(columns, key=lambda column: column.order)
        if column.title and (not views or column.view in views)
        if not column.several or frame[column.name].nunique() > 1
    ]
    words = {"metric": metric_words(metric), "reference": clean(reference, 24)}
    places = [tuple(row.get(name) for name in ("budget", "batch_size")) for row in rows]
    return Table(
        tuple(column.title.format(**words) for column in shown),
        tuple(
            tuple(Cell(_text(c, row, metric), sort_key(row[c.name]), c.name) for c in shown)
            for row in rows
        ),
        caption,
        tuple(i for i in range(1, len(rows)) if places[i] != places[i - 1]),
    )


def records(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows as dicts."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _text(column: Column, row: Mapping[str, Any], metric: str) -> str:
    raw, form = row[column.name], column.form
    match form:
        case "name" | "words":
            return clean(raw, 120 if form == "name" else 400)
        case _ if sort_key(raw) is None:
            return column.missing
        case "metric":
            return value(raw, metric)
        case "mean":
            return value(raw, metric, half(row, "ci"))
        case "margin":
            return margin(raw, None, metric).partition(" in ")[0]
        case "gain":
            best = row.get("rank") == 1 and raw == 0
            return "best" if best else difference(raw, row, metric)
        case "ranks":
            return "-".join(dict.fromkeys(str(row[end]) for end in ("rank_low", "rank_high")))
        case "of" | "wins":
            return f"{raw} of {row['of' if form == 'of' else 'n_common']}"
        case "seeds":
            return _counted(raw, {"failed": row["failed"], "at chance": row["collapsed"]})
        case "lost":
            return _counted(raw, {f"lost in {run.upper()}": row[f"lost_{run}"] for run in "ab"})
        case "":
            return f"{raw:.4g}" if isinstance(raw, float) else clean(str(raw), 400)
    return number(column.scale * raw, form)


def _counted(count: int, lost: Mapping[str, int]) -> str:
    return ", ".join([str(count), *(f"{n} {kind}" for kind, n in lost.items() if n)])


def sort_key(value: Any) -> float | str | None:
    """The value as a number or text; None for a missing value."""
    if value is None or value == "" or value != value:
        return None
    return clean(value, 400) if isinstance(value, str) else float(value)


def half(row: Mapping[str, Any], kind: str) -> float:
    """Half the width of the interval `kind`: `ci` or `diff_sim`."""
    return float(row[f"{kind}_high"] - row[f"{kind}_low"]) / 2


def value(mean: float, metric: str, half: float = math.nan) -> str:
    """A value of the metric ± the half-width of its interval. An interval of accuracies that passes
    0 or 100 % is clipped and shown by its ends.

    >>> value(0.975, "test_accuracy", 0.0025), value(0.05, "test_loss")
    ('97.50 ± 0.25 %', '0.0500')
    >>> value(0.995, "test_accuracy", 0.01)
    '99.5 % [98.5, 100]'
    """
    if math.isnan(mean):
        return MISSING
    if not is_accuracy(metric):
        form = loss_form(mean)
        return f"{mean:{form}}" + ("" if math.isnan(half) else f" ± {half:{form}}")
    if half > min(mean, 1 - mean):
        low, high = max(0.0, mean - half), min(1.0, mean + half)
        return f"{100 * mean:.1f} % [{100 * low:.3g}, {100 * high:.3g}]"
    spread = "" if math.isnan(half) else f" ± {100 * half:.2f}"
    return f"{100 * mean:.2f}{spread} %"


def difference(raw: float, row: Mapping[str, Any], metric: str) -> str:
    """A signed difference with its simultaneous interval, in points for accuracies. An interval
    that a verdict cuts at 0 is shown by its ends."""
    if math.isnan(raw):
        return MISSING
    low, high = row["diff_sim_low"], row["diff_sim_high"]
    scale, form = 100, ".2f"
    if not is_accuracy(metric):
        scale, form = 1, loss_form(raw, *(end for end in (low, high) if math.isfinite(end)))
    text = f"{scale * raw:+{form}}"
    if math.isnan(low):
        return text
    if 0 in (low, high) and low < high:
        return f"{text} [{scale * low:{form}}, {scale * high:{form}}]"
    return f"{text} ± {scale * half(row, 'diff_sim'):{form}}"


def number(value: float | None, form: str = ".3g") -> str:
    """The number in this format; a trailing `x` marks a factor.

    >>> number(12.34, ".1f"), number(4, ".3gx"), number(None)
    ('12.3', '4x', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    return f"{value:{form.removesuffix('x')}}" + "x" * form.endswith("x")


def cells(rows: Sequence[Sequence[tuple[str, Any]]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of (text, value) pairs as cells."""
    return tuple(tuple(Cell(text, sort_key(raw)) for text, raw in row) for row in rows)
