"""`report.html`: one self-contained file, for a comparison or a range test."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lrbench.analysis import Summary
from lrbench.analysis.words import where
from lrbench.optimizers import ignored
from lrbench.rangetest.result import FindResult
from lrbench.report import compared, found
from lrbench.report.find_plot import sweep_chart
from lrbench.report.html.page import Facts, facts, render
from lrbench.report.html.svg import THEME, picture
from lrbench.report.plots import plots_of, title
from lrbench.report.plots.chart import run_looks
from lrbench.report.plots.final import final_plot
from lrbench.report.text import clean, subject


def compare_page(summary: Summary, manifest: Mapping[str, Any], code: str = "") -> str:
    """A comparison's page as HTML. The run's `manifest` gives recipe, machine and command; `code`
    is the torch code of the best schedule."""
    experiment = manifest.get("experiment", {})
    recipe = experiment.get("recipe", {})
    plan = {name: value for name, value in experiment.items() if name != "recipe"}
    final = final_plot(summary)
    return render(
        "compare.html.j2",
        title=_title("Learning-rate schedules", compared.setting_text(summary)),
        summary=summary,
        compared=compared,
        where=where,
        looks=run_looks(summary),
        picture=None if final is None else picture("final", final),
        charts=[
            picture(plot.name, replace(chart, title=title(summary, chart)))
            for plot, chart in plots_of(summary)
            if plot.facts.get("page", True)
        ],
        command=_again(manifest),
        code=code,
        facts=_facts(manifest, recipe, {"Plan": facts(plan, leave=("find",))}),
    )


def find_page(result: FindResult, manifest: Mapping[str, Any]) -> str:
    """A range test's page as HTML; the run's `manifest` gives machine and command."""
    recipe = result.settings.get("recipe") or {}
    plan = {name: value for name, value in result.settings.items() if name != "recipe"}
    chart = sweep_chart(result)
    parts = {line.name: line.look for panel in chart.panels for line in panel.lines}
    return render(
        "find.html.j2",
        title=_title("LR range test", subject(recipe or result.settings)),
        lr=None if result.lr is None else f"{result.lr:.3g}",
        grade=result.grade,
        grade_means=found.GRADES[result.grade],
        reasons=[clean(reason, 2000) for reason in result.reasons],
        answers=list(found.facts(result)) if result.lr is not None else [],
        chart=picture("sweep", chart),
        legend=[
            {"place": look.place, "colour": THEME[look.colour.lower()], "name": name}
            for name, look in parts.items()
        ],
        rules=found.rules_table(result),
        trainings=found.trainings_table(result),
        against=found.against_table(result),
        next=found.next_command(result),
        command=_again(manifest),
        facts=_facts(manifest, recipe, {"Range test": facts(plan)}),
    )


def _title(kind: str, trained: str) -> str:
    return f"{kind}: {trained}" if trained else kind


def _again(manifest: Mapping[str, Any]) -> str:
    """The run's command, with a new folder: in the old one it would only read the results."""
    command: str = manifest.get("command_line", "")
    return f"{command}-again" if command else ""


def _facts(
    manifest: Mapping[str, Any], recipe: Mapping[str, Any], plan: Mapping[str, Facts]
) -> dict[str, list[tuple[str, str]]]:
    """What was trained, and on which machine, as two-column tables."""
    made_by = {"lrbench": manifest.get("lrbench"), "run": manifest.get("fingerprint")}
    data = {"train": "train and val"}  # the validation images are part of the training set
    parts = {
        "Recipe": facts(recipe, leave=ignored(recipe)),
        **plan,
        "Data": facts({data.get(k, k): v for k, v in manifest.get("data", {}).items()}),
        "Machine": facts({**manifest.get("machine", {}), **made_by}),
    }
    return {title: rows for title, found in parts.items() if (rows := list(found))}
