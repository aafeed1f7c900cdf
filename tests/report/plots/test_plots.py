from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lrbench.analysis import Question, summarise
from lrbench.errors import UsageError
from lrbench.inputs import compare_spec
from lrbench.options import TrialSpec
from lrbench.records import History
from lrbench.report import plots
from lrbench.report.plots.chart import PLOTS, run_looks
from lrbench.report.plots.draw import spread
from tests.analysis.made import finals, history, tuned
from tests.report.hostile import NAMES
from tests.report.html.made import several

ALL = {"final", "accuracy", "loss", "lr", "sensitivity", "expected_best"}
TUNED = {"sensitivity", "expected_best"}
LOSSES = [*tuned("a", {0.1: 0.9, 0.2: 0.8}, accuracy=False), *finals({"a": [0.9]}, accuracy=False)]


@pytest.mark.parametrize(
    ("made", "drawn"),
    [
        (several, ALL),
        (lambda: summarise([], Question()), set()),
        (lambda: summarise(finals({"a": [0.9, 0.8]}), Question()), ALL - TUNED),
        (lambda: summarise(LOSSES, Question()), ALL - {"accuracy", "expected_best"}),
    ],
    ids=["all", "nothing", "not tuned", "no accuracy"],
)
def test_what_is_drawn_shows_something(made: Any, drawn: set[str], tmp_path: Path) -> None:
    paths = plots.write(made(), tmp_path)
    assert {path.stem for path in paths} == drawn
    for path in paths:
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 30


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    tuning = [trial for name in NAMES for trial in tuned(name, {0.1: 0.9, 0.2: None})]
    trials = [*tuning, *finals({name: [0.9, None] for name in NAMES})]
    summary = summarise(trials, Question(NAMES))
    texts = [text.get_text() for text in plots.plot(summary, "accuracy").axes[0].texts]
    assert "[/red]evil" in texts
    assert all(text.isprintable() and len(text) <= 30 for text in texts)
    assert {path.stem for path in plots.write(summary, tmp_path)} >= {"final", "accuracy"}


@pytest.mark.parametrize("name", ["accuracy", "loss", "lr", "sensitivity"])
def test_a_schedule_has_one_colour_in_all_plots(name: str) -> None:
    texts = plots.plot(several(), name).axes[-1].texts
    (label,) = [text for text in texts if text.get_text() == "linear"]
    assert label.get_color() == run_looks(several())["linear"].colour


def test_the_lr_of_an_arm_is_that_of_its_schedule() -> None:
    """And not the records', which have two points an epoch."""
    spec = compare_spec({"schedule": ["cosine"], "arm": ["big: batch_size=64 schedule=constant"]})
    manifest = {"experiment": spec.model_dump(mode="json")}
    summary = summarise(finals({"big": [0.9]}), Question(("cosine", "big"), manifest=manifest))
    line, *_ = plots.plot(summary, "lr").axes[0].lines
    assert np.asarray(line.get_ydata()).tolist() == [0.1] * 20


def test_the_ranking_is_drawn_in_its_order_with_values_lrs_and_losses() -> None:
    summary = several()
    fig = plots.plot(summary, "final")
    left, right = fig.axes
    assert [t.get_text() for t in left.get_yticklabels()] == list(summary.standings[0].names)
    said = [t.get_text() for t in left.texts]
    assert said[0] == "97.20 %, LR 0.1" and said[2].endswith(", LR 0.1, 1 lost")
    assert [t.get_text() for t in right.texts][:2] == ["best", "-0.70 ± 1.92"]
    assert fig.get_suptitle() == ""
    ends = summary.ranking[["diff_sim_low", "diff_sim_high"]].to_numpy()[1]
    drawn = [list(line.get_xdata()) for line in right.lines]
    assert any(np.allclose(x, ends) for x in drawn if len(x) == 2), "differences are simultaneous"
    recipe = {"recipe": {"dataset": "mnist5k", "model": "lenet", "optimizer": "sgd"}}
    question = replace(summary.question, manifest={"experiment": recipe})
    named = plots.plot(replace(summary, question=question), "loss").get_suptitle()
    assert named == "loss over the epochs: mnist5k · lenet · sgd"


def test_the_lr_plot_shows_every_step_of_a_known_schedule() -> None:
    """What happens within an epoch is not in epochs.csv; the schedule itself knows it."""
    made = history("step", lr=0.1)
    fields = {**made.spec.model_dump(), "recipe": made.spec.recipe}
    spec, epochs = TrialSpec(**fields), zip(made.epochs, (0.1, 0.01), strict=True)
    records = tuple(replace(epoch, trial=spec.id, lr_first=lr) for epoch, lr in epochs)
    fig = plots.plot(summarise([History(spec, records, end=made.end)], Question()), "lr")
    line = fig.axes[0].lines[0]
    assert len(line.get_xdata()) == 20
    assert sorted(set(np.round(line.get_ydata(), 9)), reverse=True) == [0.1, 0.01, 0.001]


def test_the_lr_plot_believes_the_records_where_they_differ() -> None:
    fig = plots.plot(summarise([history("cosine", lr=0.1)], Question()), "lr")
    assert list(fig.axes[0].lines[0].get_ydata()) == [0.1, 0.05, 0.1, 0.05]


def test_labels_keep_their_order_and_their_distance() -> None:
    places = [0.99, 0.98, 0.5, 0.51, 0.0]
    found = spread(places, 0.1)
    assert (np.diff(np.array(found)[np.argsort(places)]) >= 0.1 - 1e-9).all()
    assert min(found) >= -1e-9 and max(found) <= 1 + 1e-9
    assert spread([0.2, 0.8], 0.1) == [0.2, 0.8] and spread([], 0.1) == []


def test_cuts_of_a_plateau_are_marked() -> None:
    made = history("plateau", lr=0.1, epochs=3)
    steps = zip(made.epochs, (0.1, 0.1, 0.01), strict=True)
    records = tuple(replace(epoch, lr_first=lr, lr_last=lr) for epoch, lr in steps)
    fig = plots.plot(summarise([replace(made, epochs=records)], Question()), "lr")
    curve, marks = fig.axes[0].lines[:2]
    assert marks.get_marker() == "v" and len(curve.get_ydata()) == 6
    assert list(marks.get_ydata()) == [0.1] and 1.5 < marks.get_xdata()[0] < 2


def test_no_interval_of_an_accuracy_is_drawn_beyond_its_bounds() -> None:
    figure = plots.plot(summarise(finals({"a": [0.999, 0.98]}), Question()), "final")
    drawn = [x for line in figure.axes[0].lines for x in np.asarray(line.get_xdata())]
    assert max(drawn) == 1 and 0.8 < min(drawn) < 0.98


def test_a_band_ends_where_the_seeds_do() -> None:
    summary = summarise(finals({"a": [0.9, 0.9, 0.9, 0.99]}), Question())
    chart = PLOTS.get("accuracy", option="plot").make(summary)
    assert chart is not None
    (line,) = [each for each in chart.panels[0].lines if each.kind == "line"]
    ends = summary.epochs.groupby("epoch")["val_accuracy"].agg(["min", "max"])
    assert line.low is not None and line.high is not None
    assert (line.low >= ends["min"] - 1e-12).all() and (line.high <= ends["max"] + 1e-12).all()
    assert np.isclose(line.low[-1], ends["min"].iloc[-1])  # one sd below the mean is lower


@pytest.mark.parametrize(("score", "dotted"), [(0.931, 2), (None, 0)])
def test_the_scores_that_chose_the_lrs_are_drawn(score: float | None, dotted: int) -> None:
    summary = several()
    rows = summary.sensitivity
    chosen = (rows["lr"] == 0.1) & (rows["schedule"] != "step")
    shown = replace(summary, sensitivity=rows.assign(score=score, chosen=chosen))
    lines = plots.plot(shown, "sensitivity").axes[0].lines
    assert sum({*np.asarray(line.get_ydata())} == {0.931} for line in lines) == dotted


def test_a_picture_says_which_of_several_rankings_it_shows() -> None:
    trials = [*finals({"a": [0.9, 0.91]}, epochs=2), *finals({"a": [0.95, 0.96]}, epochs=4)]
    summary = summarise(trials, Question(manifest={"experiment": {"recipe": {"model": "mlp"}}}))
    heads = {name: plots.plot(summary, name).get_suptitle() for name in ("final", "budgets")}
    assert heads["final"].startswith("ranking for 4 epochs: ")
    assert heads["budgets"].startswith("training for longer: ")


def test_a_ranking_without_a_value_is_not_drawn() -> None:
    summary = summarise(finals({"a": [None], "b": [None]}), Question())
    with pytest.raises(UsageError, match="nothing to draw in 'final'"):
        plots.plot(summary, "final")
