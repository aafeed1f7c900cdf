"""The tables, facts and next command of a range test's report, for any output."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrbench.analysis.amounts import loss_text
from lrbench.optimizers.groups import GroupSpec, parse_groups
from lrbench.options import FindSpec, Recipe, listed, options_of
from lrbench.rangetest.groups import swept_place
from lrbench.report.table import Table, cells, number

if TYPE_CHECKING:
    from lrbench.rangetest.result import FindResult

UNSAID = ("seeds", "seed", "whole_range", "batch_sizes", "momenta")
"""Options that are not repeated in the next range test."""
GRADES = {
    "ok": "can be trusted",
    "weak": "use with care",
    "none": "no learning rate can be defended",
}
NEAR = 1 - 1e-6  # the same LR, rounded differently
ABOVE = {
    "diverges": "above it training diverges",
    "bounded": "above it training no longer learns",
    None: "nothing above it was tried",
}
AGAINST = {
    "batch size": "batch_size",
    "momentum": "momentum",
    "lr": "lr",
    "grade": "grade",
    "sqrt rule": "lr_sqrt_rule",
    "linear rule": "lr_linear_rule",
    "largest stable": "max_stable_lr",
}


def facts(result: FindResult) -> Iterator[tuple[str, str]]:
    """The evidence for the answer, as (name, text)."""
    if result.aim is not None:
        yield from _aim(result.aim)
    yield "short trainings", _trained(result)
    if result.stability is not None:
        above = ABOVE[result.stability["above"]]
        yield "largest stable", f"{number(result.max_stable_lr)}; {above}"
    if result.lr_range is not None:
        low, high = result.lr_range
        yield "loss falls", f"between LR {low:.3g} and {high:.3g} (ends for a cyclical schedule)"
    seeds = len({point.seed for point in result.curve})
    said = f"LR {number(result.lr_sweep)} over {seeds} seed{'s' * (seeds > 1)}"
    if result.band is not None:
        said += f", 10-90 % of them {result.band[0]:.3g} to {result.band[1]:.3g}"
    yield "the sweep", said


def _aim(aim: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The run that the answer is for, the LRs that are equally good, and why."""
    epochs = aim["epochs"]  # None if steps were given
    said = "" if epochs is None else f"{epochs} epoch{'s' * (epochs > 1)}, "
    yield "base LR of", f"{aim['schedule']}, {said}{aim['steps']:,} steps"
    if not math.isclose(aim["peak"], 1.0):
        yield "highest LR", number(aim.get("highest_lr"))
    low, high = map(number, aim.get("equally_good") or (None, None))
    if low != high:
        yield "equally good", f"{low} to {high}"
    yield "because", aim["because"]


def _trained(result: FindResult) -> str:
    """What the short trainings found, and the learning rates that they cannot tell apart."""
    checked = result.verification
    if checked is None:
        return "none (--verify): this is the answer of the sweep alone"
    if not checked["learns"]:
        return "none improved on its start"
    low, high = (number(lr) for lr in checked["equally_good"])
    best = f"{low} to {high} are equally good" if low != high else f"{low} is best"
    agrees = "as the sweep says" if result.aim is None else "as expected from the sweep"
    agree = f", {agrees}" if checked["confirmed"] and result.lr_sweep is not None else ""
    return f"{best}{agree} ({len(checked['losses'])} tried, by {checked['data']} loss)"


def other_rules(result: FindResult) -> str:
    """What the other rules read off the sweep."""
    used = result.settings.get("rule")
    return ", ".join(f"{name} {number(lr)}" for name, lr in result.rules.items() if name != used)


def rules_table(result: FindResult) -> Table:
    """What each rule reads off the sweep."""
    used = result.settings.get("rule")
    rows = [
        [(f"{name} (used)" if name == used else name, name), (number(lr), lr)]
        for name, lr in result.rules.items()
    ]
    return Table(("rule", "learning rate"), cells(rows))


def trainings_table(result: FindResult) -> Table:
    """How the short trainings around the answer ended; empty without any."""
    checked = result.verification or {"losses": (), "steps": 0}
    rows = [
        [(f"{lr:.3g}", lr), ("diverged" if loss is None else loss_text(loss), loss)]
        for lr, loss in checked["losses"]
    ]
    head = f"{checked.get('data', '')} loss after {checked['steps']} steps, mean + ½ sd"
    return Table((f"short training at {'base ' * bool(result.aim)}LR", head), cells(rows))


def against_table(result: FindResult) -> Table:
    """Answer and largest stable LR against batch size and momentum, if requested."""
    heads = [head for head in AGAINST if head != "momentum" or result.settings.get("momenta")]
    rows = [
        [
            (str(raw) if isinstance(raw, (int, str)) else number(raw), raw)
            for raw in (row[AGAINST[head]] for head in heads)
        ]
        for row in result.table
    ]
    return Table(tuple(heads), cells(rows))


def next_command(result: FindResult) -> str:
    """The next command: a comparison around the answer, or another range test."""
    if "recipe" not in result.settings:
        return ""
    fields = {name: result.settings[name] for name in FindSpec.model_fields}
    spec = FindSpec(**{**fields, **result.changes})
    if result.changes:
        return shlex.join(["lrbench", "find", *_words(spec.recipe), *_words(spec)])
    if result.lr is None:
        return ""
    peak = (result.aim or {"peak": 1.0})["peak"]
    around = _around(result) if spec.sweep_group is None else (1.0,)
    lrs = ",".join(f"{each * peak * result.lr:.2g}" for each in around)
    words = ["lrbench", "compare", *_words(_settled(spec, result.lr, peak)), "--lr", lrs]
    if result.aim is not None:
        words += ["-s", result.aim["schedule"], "--epochs", str(result.aim["epochs"])]
    return shlex.join(words)


def _settled(spec: FindSpec, lr: float, peak: float) -> Recipe:
    """The recipe for `compare`, with the answer filled in for a group that was swept alone.
    `compare` takes the highest LR of a training (`--lr`, a group's `lr=`), `find` the base LR;
    `peak` is their ratio."""
    if spec.sweep_group is None and math.isclose(peak, 1.0):
        return spec.recipe
    groups = list(parse_groups(spec.recipe.groups))
    if spec.sweep_group is not None:
        place = swept_place(groups, spec.sweep_group, rest_known=False)
        groups[place] = replace(groups[place], lr_absolute=float(f"{lr:.2g}"))
    if not math.isclose(peak, 1.0):
        groups = [
            replace(group, lr_absolute=float(f"{group.lr_absolute * peak:.2g}"))
            if group.lr_absolute is not None
            else group
            for group in groups
        ]
    kept = tuple(str(group) for group in groups if group != GroupSpec())
    return spec.recipe.model_copy(update={"groups": kept})


def _words(spec: FindSpec | Recipe) -> Iterator[str]:
    """The options that differ from the defaults."""
    for key, option in options_of(type(spec)).items():
        value = option.shown(spec)
        if key in UNSAID or value == "" or getattr(spec, option.field) == option.field_default:
            continue
        if isinstance(value, bool):
            yield option.flag if value else option.flag.replace("--", "--no-", 1)
        else:
            for item in listed(value):
                yield from (option.flag, _short(item))


def _short(value: Any) -> str:
    """The value as text, with no more digits than needed."""
    short = isinstance(value, float) and float(f"{value:g}") == value
    return f"{value:g}" if short else str(value)


def _around(result: FindResult) -> tuple[float, float, float]:
    """LRs to try, as multiples of the answer: half, one and two. Half and two move in to the
    nearest short training that did worse, but never past the best one."""
    checked = result.verification
    if checked is None or not checked["learns"]:
        return 0.5, 1.0, 2.0
    losses = {lr / checked["lr"]: math.inf if it is None else it for lr, it in checked["losses"]}
    low, high = (lr / checked["lr"] for lr in checked["equally_good"])
    best = min(losses, key=losses.__getitem__)
    below = max((each for each in losses if each < min(low, 1.0) * NEAR), default=0.0)
    above = min((each for each in losses if each > max(high, 1.0) / NEAR), default=math.inf)
    return min(max(0.5, below), best), 1.0, max(min(2.0, above), best)
