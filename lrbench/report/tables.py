"""What the tables of a terminal share: their look, and the names in them."""

from __future__ import annotations

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


def name_text(schedule: str) -> Any:
    """A schedule as text, whatever markup its name imitates."""
    from rich.text import Text

    return Text(clean(schedule))
