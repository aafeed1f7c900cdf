from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lrbench.analysis import Question, summarise
from lrbench.errors import UsageError
from lrbench.options import TrialSpec
from lrbench.records import History
from lrbench.report import plots
from lrbench.report.plots.chart import PLOTS, run_looks
from lrbench.report.plots.draw import spread
from tests.analysis.made import finals, history, tuned
from tests.report.hostile import NAMES
from tests.report.html.made import several

ALL = {
    "final.png", "accuracy.png", "loss.png", "lr.png", "sensitivity.png", "expected_best.png",
}  # fmt: skip


def test_every_plot_is_written_and_shows_something(tmp_path: Path) -> None:
    paths = plots.write(several(), tmp_path)
    assert {path.name for path in paths} == ALL
    for path in paths:
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 30


@pytest.mark.parametrize(
    ("trials", "drawn"),
    [
        ([], set()),
        (finals({"a": [0.9, 0.8]}), ALL - {"sensitivity.png", "expected_best.png"}),
        ([*tuned("a", {0.1: 0.9, 0.2: 0.8}, accuracy=False), *finals({"a": [0.9]}, accuracy=False)],
         ALL - {"accuracy.png", "expected_best.png"}),
    ],
)  # fmt: skip
def test_nothing_to_draw_is_no_file(trials: list[History], drawn: set[str], tmp_path: Path) -> None:
    paths = plots.write(summarise(trials, Question()), tmp_path)
    assert {path.name for path in paths} == drawn


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    trials = [
        h
        for name in NAMES
        for h in (*tuned(name, {0.1: 0.9, 0.2: None}), *finals({name: [0.9, None]}))
    ]
    summary = summarise(trials, Question(NAMES))
    fig = plots.plot(summary, "accuracy")
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert any(text == "[/red]evil" for text in texts)
    assert all(text.isprintable() and len(text) <= 30 for text in texts)
    assert {path.name for path in plots.write(summary, tmp_path)} >= {"final.png", "accuracy.png"}


def test_a_schedule_has_one_colour_in_all_plots() -> None:
    summary = several()
    look = run_looks(summary)["linear"]
    for name in ("accuracy", "loss", "lr", "sensitivity"):
        fig = plots.plot(summary, name)
        (label,) = [t for t in fig.axes[-1].texts if t.get_text() == "linear"]
        assert label.get_color() == look.colour


def test_the_ranking_is_drawn_in_its_order_with_values_lrs_and_losses() -> None:
    summary = several()
    fig = plots.plot(summary, "final")
    left, right = fig.axes
    assert [t.get_text() for t in left.get_yticklabels()] == list(summary.standings[0].names)
    said = [t.get_text() for t in left.texts]
    assert said[0] == "97.20 %, LR 0.1" and said[2].endswith(", LR 0.1, 1 lost")
    assert [t.get_text() for t in right.texts][:2] == ["best", "-0.70 ± 1.92"]
    assert fig.get_suptitle() == ""
    recipe = {"recipe": {"dataset": "mnist5k", "model": "lenet", "optimizer": "sgd"}}
    question = replace(summary.question, manifest={"experiment": recipe})
    named = plots.plot(replace(summary, question=question), "loss").get_suptitle()
    assert named == "loss over the epochs: mnist5k · lenet · sgd"


def test_drawn_differences_are_simultaneous() -> None:
    summary = several()
    fig = plots.plot(summary, "final")
    ends = summary.ranking[["diff_sim_low", "diff_sim_high"]].to_numpy()[1]
    drawn = [list(line.get_xdata()) for line in fig.axes[1].lines]
    assert any(np.allclose(x, ends) for x in drawn if len(x) == 2)


def test_the_lr_plot_shows_every_step_of_a_known_schedule() -> None:
    """What happens within an epoch is not in epochs.csv; the schedule itself knows it."""
    spec = TrialSpec(recipe=history().spec.recipe, schedule="step", lr=0.1, seed=0, stage="final",
                     epochs=2)  # fmt: skip
    made = history("step", lr=0.1)
    records = tuple(
        replace(epoch, trial=spec.id, lr_first=lr)
        for epoch, lr in zip(made.epochs, (0.1, 0.01), strict=True)
    )
    assert made.end is not None
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
    order = np.argsort(places)
    assert (np.diff(np.array(found)[order]) >= 0.1 - 1e-9).all()
    assert min(found) >= -1e-9 and max(found) <= 1 + 1e-9
    assert spread([0.2, 0.8], 0.1) == [0.2, 0.8]
    assert spread([], 0.1) == []


def test_cuts_of_a_plateau_are_marked() -> None:
    made = history("plateau", lr=0.1, epochs=3)
    steps = zip(made.epochs, (0.1, 0.1, 0.01), strict=True)
    records = tuple(replace(epoch, lr_first=lr, lr_last=lr) for epoch, lr in steps)
    fig = plots.plot(summarise([replace(made, epochs=records)], Question()), "lr")
    curve, marks = fig.axes[0].lines[:2]
    assert marks.get_marker() == "v"
    assert list(marks.get_ydata()) == [0.1] and 1.5 < marks.get_xdata()[0] < 2
    assert len(curve.get_ydata()) == 6


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
