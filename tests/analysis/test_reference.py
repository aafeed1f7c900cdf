import numpy as np
import pytest
from scipy import stats

from lrbench.analysis import Question
from lrbench.analysis.frames import trials_frame
from lrbench.analysis.reference import against_reference
from lrbench.analysis.standing import standings
from tests.analysis.made import finals, trials_of


def test_holm_over_the_comparisons_with_the_reference_alone() -> None:
    values = np.random.default_rng(0).normal([0.9, 0.91, 0.89, 0.8], 0.01, (6, 4))
    question = Question(reference="r", test_size=10**9)
    found = standings(trials_of(values, ["r", "x", "y", "z"]), question)
    table = against_reference(found, question).set_index("schedule")
    assert len(table) == 3
    raw = {n: stats.ttest_rel(values[:, i], values[:, 0]).pvalue for i, n in enumerate("rxyz") if i}
    order = sorted(raw, key=lambda name: raw[name])
    stepped = np.minimum(np.maximum.accumulate([raw[n] * (3 - i) for i, n in enumerate(order)]), 1)
    for name, expected in zip(order, stepped, strict=True):
        assert table.loc[name, "p_adjusted"] == pytest.approx(expected)
    low, high = stats.ttest_rel(values[:, 3], values[:, 0]).confidence_interval(1 - 0.05 / 3)
    assert table.loc["z", ["diff_sim_low", "diff_sim_high"]].tolist() == pytest.approx([low, high])
    assert table.loc["z", "verdict"] == "worse"


def test_lower_losses_are_better() -> None:
    question = Question(metric="test_loss", reference="r")
    trials = finals({"r": [0.5, 0.51, 0.5], "x": [0.9, 0.91, 0.9]})
    row = against_reference(standings(trials_frame(trials, None), question), question).iloc[0]
    assert row["diff"] == pytest.approx(-0.8)
    assert row["verdict"] == "better"


def test_no_verdict_with_one_common_seed() -> None:
    question = Question(reference="r", test_size=1000)
    for trials in (finals({"r": [0.5, None], "x": [0.9, 0.91]}), finals({"r": [0.5], "x": [0.9]})):
        table = against_reference(standings(trials_frame(trials, None), question), question)
        assert table["verdict"].isna().all()


def test_without_a_reference_there_are_no_rows() -> None:
    trials = finals({"r": [0.5, 0.6], "x": [0.9, 0.91]})
    found = standings(trials_frame(trials, None), Question())
    assert len(against_reference(found, Question())) == 0
    assert len(against_reference(found, Question(reference="gone"))) == 0
