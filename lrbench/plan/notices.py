"""What is to be said of a tuning that is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lrbench.errors import Notice, Topic
from lrbench.experiment import TrialSpec
from lrbench.plan.cell import CellPlan
from lrbench.plan.choice import Choice


def edge_notices(here: CellPlan, choices: Mapping[str, Choice]) -> Iterator[Notice]:
    words = {"low": ("lowest", "below"), "high": ("highest", "above")}
    for side, (end, beyond) in words.items():
        names = [name for name, choice in choices.items() if choice.edge == side]
        if names:
            lrs = ", ".join(dict.fromkeys(f"{choices[name].lr:g}" for name in names))
            yield Notice(
                Topic.EDGE_OF_GRID,
                f"{here.where}the best LR of {', '.join(names)} is the {end} that was tried "
                f"({lrs})",
                f"the optimum may lie {beyond}: widen the grid with --lr",
            )


def saving(here: CellPlan, places: Sequence[int], tuning: Sequence[TrialSpec]) -> Iterator[Notice]:
    """What successive halving spared."""
    if not here.spec.halving or not tuning:
        return
    tuned = {name: places for name in here.spec.entrants if here.tuned(name)}
    whole = len(here.trials_at(tuned)) * here.cell.epochs
    spent = sum(trial.epochs for trial in tuning)
    if spent >= whole:
        return
    yield Notice(
        Topic.HALVING,
        f"{here.where}successive halving tuned in {spent} epochs where the whole grid takes "
        f"{whole}",
        "the LR sensitivity is known at fewer learning rates",
    )
