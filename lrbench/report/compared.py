"""The tables and sentences of a comparison's report, for any output."""

import re
from dataclasses import replace

import pandas as pd

from lrbench.analysis import Summary
from lrbench.analysis.names import is_schedule
from lrbench.analysis.scaling import at_size
from lrbench.analysis.standing import Standing
from lrbench.analysis.words import listed, told_apart
from lrbench.report.table import Table, table
from lrbench.report.text import recipe_of, subject
from lrbench.report.write_csv import FILES

OF_ACCURACIES = {"val_auc", "epochs_to_target", "time_to_target_s", "lr_width"}


def setting_text(summary: Summary) -> str:
    """What was trained, and how long: `mnist5k · lenet · sgd · 3 epochs (336 steps) · batch 32`."""
    manifest = summary.question.manifest
    trained, first = subject(recipe_of(manifest)), summary.first
    if first is None or len(summary.standings) > 1 or not trained:
        return trained
    untuned = len(manifest.get("experiment", {}).get("lrs", ())) == 1
    epochs = f"{first.budget} epoch{'s' * (first.budget > 1)}"
    sized = manifest.get("data", {}).get("takes_batch_size", True)
    length = f"{epochs}{_batches(first, sized=sized)}"
    return f"{trained} · {length}{' · LR as given, not tuned' * untuned}"


def _batches(standing: Standing, *, sized: bool) -> str:
    """Steps and, if it sets the task's, batch size: of the plain recipe, and of arms with another
    one. Trainings that did not end well have no steps to tell."""
    by_size: dict[int, list[int]] = {}
    for place, finals in enumerate(standing.finals):
        of_step = finals["step_images"].fillna(standing.batch_size)  # may be missing
        by_size.setdefault(int(of_step.iloc[0]), []).append(place)
    sizes = []
    for images, places in by_size.items():
        ended = pd.concat([standing.finals[i] for i in places])
        steps = int(ended["steps"].where(ended["status"] == "done", 0).max())
        names = [standing.names[i] for i in places]
        plain = any(map(is_schedule, names))
        sizes.append((not plain, standing.batch_size if plain else images, steps, listed(names)))
    (_, batch, steps, _), *others = sorted(sizes)
    more = [f"{names}: {images}{_steps(n)}" for _, images, n, names in others]
    if not more:
        return _steps(steps) + f" · batch {batch}" * sized
    return " · " + ", ".join([f"batch {batch}{_steps(steps)}", *more])


def _steps(count: int) -> str:
    return f" ({count:,} steps)" * (count > 0)


def headline(summary: Summary) -> tuple[str, str]:
    """The answer split into decision and rest; of several rankings, the first is the decision."""
    place = "[^:]*: " * (len(summary.standings) > 1)  # "For 3 epochs: Use cosine at LR 0.1: ..."
    found = re.match(rf"({place}.*?)[:;] (.*)", summary.sentence)
    return (found[1], found[2][:1].upper() + found[2][1:]) if found else (summary.sentence, "")


def told_apart_text(summary: Summary) -> str:
    """The pairs told apart in the first standing."""
    told = summary.first is not None and told_apart(summary.first)
    return f"Told apart: {told}." if told else ""


def ranking_table(summary: Summary, *views: str, standing: Standing | None = None) -> Table:
    """Rank, LR, metric and difference from the best, with intervals, for one standing or all."""
    rows = summary.ranking if standing is None else standing.part(summary.ranking)
    made = table(rows, FILES["ranking"], "ranking", "all", *views, metric=summary.metric)
    cut = any("[" in cell.text for row in made.rows for cell in row if cell.name != "schedule")
    caption = f"±{' and [ ]' * cut}: {100 * summary.question.confidence:g} % intervals"
    if len(rows) and rows["rank_high"].max() > 1:
        caption += " (of differences: for all pairs together); rank: what the tests leave open"
    return replace(made, caption=caption)


def details_table(summary: Summary) -> Table:
    """More about the first standing: speed of learning, the cost of a wrong LR, the worst seed."""
    rows = summary.first.part(summary.ranking) if summary.first else summary.ranking
    measured = bool(summary.trials["val_accuracy"].notna().any())
    columns = tuple(c for c in FILES["ranking"] if measured or c.name not in OF_ACCURACIES)
    target = summary.target_accuracy
    notes = [] if target is None else [f"target: {100 * target:.2f} % validation accuracy"]
    notes += [
        f"{column.title}: {column.help}"
        for column in columns
        if column.name in ("lr_sensitivity", "lr_width", "wins")
    ]
    notes += ["ranking.csv has the other rankings"] * (len(summary.standings) > 1)
    return table(rows, columns, "details", "all", metric=summary.metric, caption="; ".join(notes))


def reference_table(summary: Summary) -> Table:
    """Each schedule against the reference named in advance."""
    reference = summary.question.reference or ""
    return table(summary.reference, FILES["reference"], metric=summary.metric, reference=reference)


def noise_table(summary: Summary) -> Table:
    """For a single schedule: the differences that a given number of seeds would detect."""
    return table(summary.noise, FILES["noise"], metric=summary.metric)


def scaling_table(summary: Summary) -> Table:
    """How each schedule's best LR moves with the length of training or the batch size."""
    confidence, aim = f"{100 * summary.question.confidence:g} %", summary.question.aim
    caption = f"best LR ~ size^exponent, with its {confidence} interval; in brackets: no optimum"
    caption += f"; LR there: at {at_size(*aim)}" if aim else ""
    return table(summary.scaling, FILES["scaling"], caption=caption)


def diagnosis_table(summary: Summary, stage: str) -> Table:
    """What the curves of this stage's trials show, and what to change."""
    rows = summary.diagnosis[summary.diagnosis["stage"] == stage]
    return table(rows, FILES["diagnosis"])


def failures_table(summary: Summary) -> Table:
    rows = summary.trials[summary.trials["status"].isin(["diverged", "failed"])]
    return table(rows, FILES["trials"], "trial", "failure")


def trials_table(summary: Summary) -> Table:
    """Every trial, without empty columns."""
    known = summary.trials.replace("", None).notna().any()
    columns = tuple(column for column in FILES["trials"] if known[column.name])
    return table(summary.trials, columns, "trial", "trials")
