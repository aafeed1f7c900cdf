"""The plan of a comparison before it runs, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lrbench.experiment import CompareSpec

if TYPE_CHECKING:
    from rich.console import Group

WORDS = {"find": "range test", "tune": "tuning", "final": "final seeds"}


def plan_table(
    spec: CompareSpec,
    stages: Mapping[str, Mapping[str, int]],
    total: Mapping[str, int],
    seconds: float,
    steps_per_epoch: Mapping[int, int],
) -> Group:
    """A line for each schedule, a row for each stage, and the time that it all should take."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("stage", "in all")
    for key in ("trials", "steps", "images"):
        table.add_column(key, f"{total[key]:,}", justify="right")
    for stage, counts in stages.items():
        if counts["trials"]:
            numbers = [f"{counts[key]:,}" for key in ("trials", "steps", "images")]
            table.add_row(WORDS[stage], *numbers)
    recipe = spec.recipe
    budgets = ", ".join(str(epochs) for epochs in sorted(spec.budgets or (spec.epochs,)))
    batches = ", ".join(f"{size} ({steps} steps)" for size, steps in steps_per_epoch.items())
    head = (
        f"{recipe.title}, {recipe.optimizer}; epochs: {budgets}; "
        f"batch (an epoch): {batches}; tuning seeds: {spec.tuning_seeds}, final: {spec.seeds}"
    )
    names = "\n".join(f"  {name}" for name in spec.entrants)
    grid = (
        f"{spec.lr_points} LRs around the range test's, a factor of {spec.lr_factor:g} apart"
        if spec.auto
        else ", ".join(f"{lr:g}" for lr in spec.lrs)
    )
    edges = " (a best LR on the edge adds more, at most twice)" if spec.auto else ""
    return Group(
        Text(head),
        Text(f"schedules:\n{names}"),
        Text(f"LRs: {grid}{edges}"),
        table,
        Text(f"about {readable_time(seconds)} here, judged by a dozen steps"),
    )


def readable_time(seconds: float) -> str:
    """
    >>> readable_time(42), readable_time(200), readable_time(8000)
    ('42 s', '3 min 20 s', '2 h 13 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
