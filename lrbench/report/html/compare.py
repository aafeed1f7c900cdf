"""The page of a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lrbench.analysis import Summary
from lrbench.analysis.question import is_accuracy
from lrbench.report import shown
from lrbench.report.console import capital, caption, details_caption
from lrbench.report.html.charts import charts
from lrbench.report.html.page import facts, machine_facts, render
from lrbench.report.html.ranking import Cell, key, tables
from lrbench.report.plots.axes import run_looks
from lrbench.report.text import clean

LEGEND_WIDTH = 48


def compare_page(summary: Summary, manifest: Mapping[str, Any], code: str = "") -> str:
    """The whole page as text. `manifest` is that of the run, for the recipe, the machine and the
    command; `code` the torch lines of the winner."""
    experiment = manifest.get("experiment", {})
    recipe = experiment.get("recipe", {})
    names = [
        str(recipe[name]) for name in ("task", "model", "dataset", "optimizer") if recipe.get(name)
    ]
    return render(
        "compare.html.j2",
        title="Learning-rate schedules" + (f": {clean(' · '.join(names))}" if names else ""),
        sentence=clean(capital(summary.sentence), 2000) + ".",
        power=clean(capital(summary.power_sentence), 2000),
        notices=[str(notice) for notice in summary.notices],
        legend=legend(summary),
        rankings=tables(summary),
        ranking_note=caption(summary),
        charts=list(charts(summary)),
        speed=_speed(summary),
        speed_note=details_caption(summary),
        reference=summary.question.reference or "",
        against=_against(summary),
        failures=_failures(summary),
        diagnosis={stage: _diagnosis(summary, stage) for stage in ("final", "tune")},
        trials=_trials(summary),
        command=manifest.get("command_line", ""),
        code=code,
        facts=provenance(manifest),
    )


def provenance(manifest: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """What was trained, and on what machine, as tables of two columns."""
    experiment = dict(manifest.get("experiment", {}))
    recipe = experiment.pop("recipe", {})
    parts = {
        "Recipe": facts(recipe),
        "Plan": facts(experiment, leave=("find",)),
        "Data": facts(manifest.get("data", {})),
        "Machine": machine_facts(manifest),
    }
    return {title: rows for title, rows in parts.items() if rows}


def legend(summary: Summary) -> list[dict[str, Any]]:
    """The schedules as they were named, each with its line."""
    return [
        {
            "place": look.place,
            "name": clean(name, LEGEND_WIDTH),
            "title": clean(name, 400),
            "dash": "" if look.dash == "-" else " ".join(str(2 * d) for d in look.dash[1]),  # type: ignore[index]
        }
        for name, look in run_looks(summary).items()
    ]


def _speed(summary: Summary) -> dict[str, Any]:
    """How fast each schedule learnt, what a wrong LR costs it, and what else was measured."""
    accuracy = is_accuracy(summary.metric)
    columns = {
        **(_TARGET if accuracy else {}),
        "lr_sensitivity": ("LR cost", ".2g", 1),
        "lr_width": ("LR width", ".3gx", 1),
        "generalisation_gap": ("gap, points", "+.1f", 100),
        "throughput_img_s": ("img/s", ",.0f", 1),
    }
    several = shown.cell_columns(summary.ranking)
    heads = ["schedule", *several.values(), *(title for title, _, _ in columns.values())]
    rows = []
    for row in shown.records(summary.ranking):
        made = [Cell(clean(row["schedule"]), clean(row["schedule"]))]
        made += [Cell(str(row[name]), row[name]) for name in several]
        for name, (_, form, scale) in columns.items():
            never = "never" if name.endswith("target") or "_to_target" in name else shown.MISSING
            value = row[name]
            missing = never if row["n"] else shown.MISSING
            known = not math.isnan(value)
            made.append(
                Cell(shown.number(scale * value, form, missing), key(value) if known else None)
            )
        rows.append(made)
    return {"heads": heads, "rows": rows}


_TARGET = {
    "epochs_to_target": ("epochs to target", ".1f", 1),
    "time_to_target_s": ("seconds to target", ".1f", 1),
    "val_auc": ("area under validation", ".3f", 1),
}


def _against(summary: Summary) -> list[list[Cell]]:
    """Each schedule against the reference."""
    return [
        [
            Cell(clean(row["schedule"]), clean(row["schedule"])),
            Cell(shown.difference(row, "diff", summary.metric), key(row["diff"])),
            Cell(shown.number(row["p_adjusted"], ".2g"), key(row["p_adjusted"])),
            Cell(*2 * [row["verdict"] or shown.MISSING]),
        ]
        for row in shown.records(summary.reference)
    ]


def _diagnosis(summary: Summary, stage: str) -> list[list[Cell]]:
    """What the curves of this stage's trials say, and what to change."""
    found = summary.diagnosis
    return [
        [
            _cell(row["schedule"]),
            Cell(f"{row['trials']} of {row['of']}", row["trials"] / max(1, row["of"])),
            _cell(row["finding"]),
            _cell(row["remedy"]),
        ]
        for row in shown.records(found[found["stage"] == stage])
    ]


def _failures(summary: Summary) -> list[list[Cell]]:
    bad = summary.trials[summary.trials["status"].isin(["diverged", "failed"])]
    columns = ("stage", "schedule", "lr", "seed", "status", "reason")
    return [[_cell(row[name]) for name in columns] for row in shown.records(bad)]


TRIAL_COLUMNS = {
    "stage": "stage",
    "schedule": "schedule",
    "budget": "epochs",
    "batch_size": "batch",
    "lr": "LR",
    "seed": "seed",
    "status": "status",
    "train_loss": "train loss",
    "val_loss": "val loss",
    "val_accuracy": "val accuracy",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "train_s": "seconds",
    "diagnosis": "diagnosis",
}


def _trials(summary: Summary) -> dict[str, Any]:
    """Every trial: the columns that hold anything."""
    frame = summary.trials[list(TRIAL_COLUMNS)].replace("", None).dropna(axis=1, how="all")
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return {"heads": [TRIAL_COLUMNS[name] for name in frame.columns], "rows": rows}


def _cell(value: Any) -> Cell:
    if isinstance(value, str):
        return Cell(*2 * [clean(value, 400)])
    if value is None or value != value:
        return Cell("", None)
    return Cell(f"{value:.4g}" if isinstance(value, float) else str(value), float(value))
