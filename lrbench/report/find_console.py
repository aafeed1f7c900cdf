"""A range test's answer on the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.experiment import FindSpec, Recipe
from lrbench.optimizers.groups import parse_groups
from lrbench.rangetest.groups import swept_place
from lrbench.rangetest.result import FindResult
from lrbench.report.text import clean

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group
    from rich.table import Table
    from rich.text import Text

NARROW = 66  # columns
GRADE_STYLES = {"ok": "bold green", "weak": "bold yellow", "none": "bold red"}
SWEEP = {
    "start_lr", "end_lr", "points", "mode", "step", "rule", "window", "verify", "max_stable",
    "val_loss", "sweep_group",
}  # fmt: skip
OPTIONS = {"groups": "group", "optimizer_options": "opt"}

CELL_COLUMNS = {
    "batch size": "batch_size",
    "momentum": "momentum",
    "lr": "lr",
    "grade": "grade",
    "sqrt rule": "lr_sqrt_rule",
    "linear rule": "lr_linear_rule",
    "largest stable": "max_stable_lr",
}


def find_tables(result: FindResult, folder: Path | None = None) -> Group:
    """The answer, what each rule says, the short trainings, and what to type next."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Text | Table | SideBySide] = [
        answer_line(result),
        *(Text(f"  {clean(r, 2000)}") for r in result.reasons),
    ]
    if result.lr is not None:
        beside = [trainings(result)] if result.verification is not None else []
        parts += [Text(), facts(result), Text(), SideBySide([rules(result), *beside])]
    if result.table:
        parts += [Text(), cells(result)]
    command = next_command(result)
    if command:
        parts += [Text(), Text(clean(command, 2000), style="bold")]
    if folder is not None:
        parts.append(Text(f"files: {clean(str(folder), 2000)}", style="dim"))
    return Group(*parts)


def answer_line(result: FindResult) -> Text:
    from rich.text import Text

    style = GRADE_STYLES[result.grade]
    if result.lr is None:
        return Text("no learning rate can be defended", style=style)
    line = Text.assemble("learning rate ", (f"{result.lr:.3g}", style), "   grade ")
    return line + Text(result.grade, style=style)


def facts(result: FindResult) -> Table:
    """What the answer stands on, one line each."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    for name, text in fact_lines(result):
        table.add_row(name, text)
    return table


def fact_lines(result: FindResult) -> Iterator[tuple[str, str]]:
    """(name, text) of what the answer stands on."""
    seeds = len({point.seed for point in result.curve})
    yield "sweep alone", f"{number(result.lr_sweep)}  ({seeds} seed{'s' if seeds > 1 else ''})"
    if result.band is not None:
        yield "10-90 % of seeds", f"{result.band[0]:.3g} to {result.band[1]:.3g}"
    if result.lr_range is not None:
        low, high = result.lr_range
        yield "loss falls from", f"{low:.3g} to {high:.3g}  (the two ends of a cyclical schedule)"
    if result.stability is not None:
        above = result.stability["above"]
        seen = {
            "diverges": "above it training diverges",
            "bounded": "above it training no longer learns",
            None: "nothing above it was tried",
        }[above]
        yield "largest stable", f"{number(result.max_stable_lr)}  ({seen})"
    if result.verification is None:
        yield "verified", "no: pass --verify"
        return
    data = result.verification.get("data", "training")
    if result.verification["confirmed"]:
        yield "verified", f"yes: short trainings find nothing better, by {data} loss"
    else:
        yield "verified", f"moved: the sweep's answer is not the best, by {data} loss"


@dataclass(frozen=True)
class SideBySide:
    """Tables beside each other, or below each other where there is no room for that."""

    parts: Sequence[Table]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.table import Table

        if options.max_width < NARROW:
            yield from self.parts
            return
        grid = Table.grid(padding=(0, 6, 0, 0))
        grid.add_row(*self.parts)
        yield grid


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def rules(result: FindResult) -> Table:
    """What each rule reads off the sweep."""
    table = _table()
    table.add_column("rule")
    table.add_column("what it says", justify="right")
    used = result.settings.get("rule")
    for name, lr in result.rules.items():
        table.add_row(f"{name} (used)" if name == used else name, number(lr))
    return table


def trainings(result: FindResult) -> Table:
    """How the short trainings around the answer ended."""
    assert result.verification is not None
    losses = result.verification["losses"]
    best = min((loss for _, loss in losses if loss is not None), default=None)
    table = _table()
    table.add_column("constant lr", justify="right")
    table.add_column(f"loss + ½ sd after {result.verification['steps']} steps", justify="right")
    for lr, loss in losses:
        style = "bold green" if loss is not None and loss == best else ""
        table.add_row(f"{lr:.3g}", "diverged" if loss is None else f"{loss:.4f}", style=style)
    return table


def cells(result: FindResult) -> Table:
    """Answer and stable limit against batch size and momentum."""
    table = _table()
    for heading in CELL_COLUMNS:
        table.add_column(heading, justify="left" if heading == "grade" else "right")
    for row in result.table:
        table.add_row(*(written(row[name]) for name in CELL_COLUMNS.values()))
    return table


def written(value: Any) -> str:
    """A value of the table of batch sizes and momenta as text."""
    return str(value) if isinstance(value, (int, str)) else number(value)


def next_command(result: FindResult) -> str:
    """What to type next: a comparison around the answer, or another range test."""
    recipe = result.settings.get("recipe")
    if recipe is None:
        return ""
    if result.lr is None or _unstable(result):
        remedy = _remedy(result)
        if not remedy:
            return ""
        again = [*_options(recipe), *_sweep_options(result, remedy[0]), *remedy]
        return "next: " + shlex.join(["lrbench", "find", *again])
    swept = result.settings.get("sweep_group")
    lrs = _around(result.lr) if swept is None else f"{result.lr:.2g}"
    words = ["lrbench", "compare", *_options(_settled(recipe, swept, result.lr)), "--lr", lrs]
    return "next: " + shlex.join(words)


def _settled(recipe: Mapping[str, Any], swept: str | None, lr: float) -> Mapping[str, Any]:
    """The recipe in which a group that was swept alone has its answer."""
    if swept is None:
        return recipe
    groups = list(parse_groups(recipe["groups"]))
    place = swept_place(groups, swept, rest_known=False)
    groups[place] = replace(groups[place], lr_absolute=float(f"{lr:.2g}"))
    texts = [str(group) for group in groups if group.lr_absolute is not None]
    return {**recipe, "groups": texts}


def _sweep_options(result: FindResult, changed: str) -> list[str]:
    """The options of the range test that are not the defaults, but for the one that changes."""
    kept = SWEEP - {changed[2:].replace("-", "_")}
    defaults = FindSpec().model_dump(mode="json", include=kept)
    return list(_options(result.settings, defaults))


def _options(values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The options that lead from the defaults, those of a recipe unless others are given, to the
    values."""
    for name, default in (defaults or Recipe().model_dump(mode="json")).items():
        value = values.get(name, default)
        option = "--" + OPTIONS.get(name, name).replace("_", "-")
        if value in (default, "") or name == "init_digest":  # that is no option
            continue
        if isinstance(value, bool):
            yield option if value else option.replace("--", "--no-", 1)
            continue
        for item in value if isinstance(value, (list, tuple)) else [value]:
            yield from (option, str(item))


def _around(lr: float) -> str:
    """The answer, half of it and twice it, to two digits."""
    return ",".join(f"{lr * factor:.2g}" for factor in (0.5, 1, 2))


def _unstable(result: FindResult) -> bool:
    """Whether training at the answer did not go well, and nothing better was looked for."""
    return any(reason.startswith("unstable:") for reason in result.reasons)


def _remedy(result: FindResult) -> list[str]:
    """Another value for the option that the first reason names; nothing where none would help."""
    if _unstable(result):
        return ["--verify"]
    settings = result.settings
    text = result.reasons[0] if result.reasons else ""
    if "--loss" in text:
        return []
    if "lower --end-lr" in text:
        return ["--end-lr", f"{settings['end_lr'] / 10:g}"]
    if "--end-lr" in text:
        return ["--end-lr", f"{settings['end_lr'] * 100:g}"]
    if "--start-lr" in text:
        return ["--start-lr", f"{settings['start_lr'] / 100:g}"]
    if "--points" in text:
        return ["--points", str(max(100, 2 * settings["points"]))]
    return ["--seeds", str(2 * len(settings["seeds"]))]


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
