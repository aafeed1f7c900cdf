"""The plan of a comparison, as a table to read before it runs."""

from collections.abc import Iterator, Mapping

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from lrbench.options import CompareSpec, changed

# Options that the plan shows elsewhere.
SHOWN = {
    "dataset", "model", "task", "optimizer", "batch_size", "accumulate", "schedule", "arm",
    "lr", "lr_points", "lr_factor", "lr_scaling", "base_batch_size", "epochs", "budgets", "seeds",
    "tuning_seeds", "time_budget", "range_test",
}  # fmt: skip
STAGES = {"find": "range test", "tune": "tuning", "final": "final seeds"}


def plan_table(
    spec: CompareSpec,
    stages: Mapping[str, Mapping[str, int]],
    total: Mapping[str, int],
    estimate: str,
    steps_per_epoch: Mapping[int, int],
    *,
    begun: bool = False,
) -> Group:
    """The settings, a line for each schedule, a row for each stage with its work (in a resumed run,
    what is left), and the estimated time."""
    recipe, counted = spec.recipe, ("trials", "steps", "images")
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("stage", "left" if begun else "total")
    for key in counted:
        head = "samples" if key == "images" and recipe.problem != "images" else key
        table.add_column(head, f"{total[key]:,}", justify="right")
    for stage, counts in stages.items():
        if counts["trials"]:
            table.add_row(STAGES[stage], *(f"{counts[key]:,}" for key in counted))
    budgets = ", ".join(str(epochs) for epochs in sorted(spec.budgets or (spec.epochs,)))
    batches = ", ".join(f"{size} ({n} steps per epoch)" for size, n in steps_per_epoch.items())
    seeds = f"{spec.looks[0]} to {spec.looks[-1]}, a race" if spec.race else str(spec.seeds)
    tuned = {"weight_decay"} if spec.weight_decays else set()
    settings = [*changed(recipe, besides=SHOWN | tuned), *changed(spec, besides=SHOWN)]
    lines = [
        f"{recipe.title}, {recipe.optimizer}; epochs: {budgets}; batch: {batches}; "
        f"tuning seeds: {spec.tuning_seeds}, final: {seeds}",
        f"schedules{' and arms' * bool(spec.arms)}:",
        *(f"  {name}" for name in (*spec.schedules, *(arm.typed for arm in spec.arms))),
        f"LRs: {_grid(spec)}",
        *_batch_words(spec),
        *([", ".join(settings)] if settings else []),
    ]
    return Group(*map(Text, lines), table, Text(estimate))


def _grid(spec: CompareSpec) -> str:
    if not spec.auto:
        return ", ".join(f"{lr:g}" for lr in spec.lrs)
    return (
        f"{spec.lr_points} for each schedule, a factor of {spec.lr_factor:g} apart, around the "
        "range test's LR, higher for schedules that decay (a best LR on the edge extends all "
        "grids, at most twice)"
    )


def _batch_words(spec: CompareSpec) -> Iterator[str]:
    """The images of one optimizer step, and how they scale the learning rates."""
    for recipe in spec.recipes:
        scale = spec.lr_scale(recipe)
        if recipe.micro_batches > 1:
            yield (
                f"one step: {recipe.micro_batches} batches of {recipe.batch_size}, "
                f"{recipe.effective_batch} images"
            )
        if spec.lr_scaling:
            lrs = ", ".join(f"{lr * scale:g}" for lr in spec.lrs)
            yield (
                f"LRs for {recipe.effective_batch} images per step, {spec.lr_scaling} scaling from "
                f"{spec.base_batch_size} (x {scale:.4g}): {lrs}"
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


def watched(progress: bool | None, console: Console) -> bool:
    """Whether to show progress: as requested, by default on a terminal and in a notebook."""
    return console.is_terminal or console.is_jupyter if progress is None else progress
