"""Schedules that differ in one parameter are told of together."""

import numpy as np

from lrbench.analysis import Question, Summary
from lrbench.analysis.variants import groups_of, variants_text
from lrbench.report.plots.chart import PLOTS
from tests.analysis.made import columns, compared

WARMED = {"warmup(0%) + cosine": 0.8, "warmup(10%) + cosine": 0.9, "warmup + cosine": 0.9005}


def ranked(means: dict[str, float], seeds: int = 6) -> Summary:
    noise = np.random.default_rng(0).normal(0, 0.002, (len(means), seeds))
    values = columns(noise.T + np.array([*means.values()]), tuple(means))
    return compared(values, Question(tuple(means), test_size=10**6))


def test_the_best_value_is_named_and_the_means_are_drawn_against_the_parameter() -> None:
    made = ranked({**WARMED, "linear": 0.95})
    assert made.first is not None
    said = variants_text(made.first)
    assert said.startswith("By length of warmup: ")
    assert "has the best mean, better than 0%, not told apart from" in said
    assert said in made.certainty
    chart = PLOTS.get("variants").make(made)
    assert chart is not None
    (panel,) = chart.panels
    (line,) = panel.lines
    assert panel.x_label == "length of warmup, %" and line.x.tolist() == [0, 5, 10]
    assert np.allclose(line.y, [0.8, 0.9, 0.9], atol=0.003)


def test_two_schedules_are_no_row_and_another_recipe_is_no_schedule() -> None:
    made = ranked({name: WARMED[name] for name in [*WARMED][:2]})
    assert made.first is not None and variants_text(made.first) == ""
    assert PLOTS.get("variants").make(made) is None
    names = ["cosine", "cosine(min=1%)", "cosine(min=5%)", "a bigger batch: cosine", "prodigy"]
    (group,) = groups_of(names)
    assert group.amounts == (0, 1, 5)


def test_lrs_that_are_ranked_are_told_of_by_lr() -> None:
    made = ranked({"cosine @ 0.01": 0.5, "cosine @ 0.2": 0.9, "cosine @ 0.05": 0.8})
    assert made.first is not None
    assert variants_text(made.first) == (
        "By LR of cosine: 0.2 has the best mean, better than 0.01 and 0.05."
    )
