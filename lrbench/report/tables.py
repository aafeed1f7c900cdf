"""What the tables of a terminal share: their look, their rows, the names in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lrbench.report.text import clean

if TYPE_CHECKING:
    from rich.table import Table


def plain_table() -> Table:
    """A table without frames, its caption below."""
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption_justify="left",
        caption_style="dim",
    )


def records(frame: Any) -> Iterator[dict[str, Any]]:
    """The rows as dicts, None where a text is missing."""
    for row in frame.to_dict("records"):
        texts = ("group", "verdict")
        yield {k: v if k not in texts or isinstance(v, str) else None for k, v in row.items()}


def name_text(schedule: str) -> Any:
    """A schedule as text, whatever markup its name imitates."""
    from rich.text import Text

    return Text(clean(schedule))
