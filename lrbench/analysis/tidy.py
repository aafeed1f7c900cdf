"""The definition of a table column. One entry serves the CSV file, the terminal, Markdown, the page
and `docs/columns.md`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas import DataFrame


@dataclass(frozen=True)
class Column:
    """A column: how it is computed, and how it is shown.

    `value` computes a cell from the row's source; the default is the source's attribute or item of
    the column's name. A column with a `title` is shown to people, in the tables of its `view`;
    `form` is a format spec (a trailing `x` marks a factor) or a form of `report.table`, and `scale`
    multiplies the number before it is shown. Columns are sorted by `order`; those marked `several`
    are shown only if they take several values. `missing` is shown for a missing value.
    """

    name: str
    dtype: str
    help: str
    value: Callable[[Any], Any] | None = None
    title: str = ""
    form: str = ""
    scale: float = 1.0
    view: str = ""
    order: int = 1
    several: bool = False
    missing: str = "·"

    def cell(self, source: Any) -> Any:
        if self.value is not None:
            return self.value(source)
        return source[self.name] if isinstance(source, Mapping) else getattr(source, self.name)


Columns = tuple[Column, ...]
SCHEDULE = Column(
    "schedule", "object", "schedule, as a spec", title="schedule", form="name", order=0
)
BUDGET = Column("budget", "int64", "epochs", title="epochs", several=True, order=0)
BATCH_SIZE = Column(
    "batch_size", "int64", "images in a batch", title="batch", several=True, order=0
)


def frame(sources: Iterable[Any], columns: Columns) -> DataFrame:
    """One row for each source, with exactly these columns and types, even without rows."""
    listed = list(sources)
    cells = {column: [column.cell(source) for source in listed] for column in columns}
    return pd.DataFrame({c.name: pd.Series(each, dtype=c.dtype) for c, each in cells.items()})
