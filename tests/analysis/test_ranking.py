import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lrbench.analysis import Question, rank
from lrbench.analysis.frames import trials_frame
from lrbench.analysis.ranking import RANKING
from lrbench.records import History
from tests.analysis.made import finals, trials_of, tuned


def ranked(trials: list[History], target: float | None = None) -> pd.DataFrame:
    return rank(trials_frame(trials, target), Question()).set_index("schedule")


def test_the_columns_are_there_without_rows() -> None:
    empty = rank(trials_frame([], None), Question())
    assert list(empty.columns) == [column.name for column in RANKING] and len(empty) == 0


def test_numbers_equal_scipys() -> None:
    values = np.random.default_rng(0).normal([0.9, 0.85, 0.8], 0.01, (6, 3))
    table = rank(trials_of(values, "abc"), Question(test_size=10**9)).set_index("schedule")
    a, b, c = values.T
    assert table.loc["a", "metric_mean"] == pytest.approx(a.mean())
    assert table.loc["a", "metric_sd"] == pytest.approx(a.std(ddof=1))
    low, high = stats.t.interval(0.95, 5, a.mean(), stats.sem(a))
    assert table.loc["a", ["ci_low", "ci_high"]].tolist() == pytest.approx([low, high])
    assert table.loc["a", "worst_seed"] == a.min()
    assert table.loc["a", "diff_to_best"] == 0 and pd.isna(table.loc["a", "wins"])
    low, high = stats.ttest_rel(b, a).confidence_interval(1 - 0.05 / 3)
    row = table.loc["b"]
    assert row["diff_to_best"] == pytest.approx((b - a).mean())
    assert row[["diff_sim_low", "diff_sim_high"]].tolist() == pytest.approx([low, min(high, 0)])
    p = [stats.ttest_rel(*pair).pvalue for pair in ((a, b), (a, c), (b, c))]
    assert row["p_adjusted"] == pytest.approx(max(p[0], 3 * min(p)))
    assert (row["n_common"], row["wins"]) == (6, (b > a).sum())


def test_equal_means_share_a_rank() -> None:
    table = ranked(finals({"a": [0.9, 0.8], "b": [0.9, 0.8], "c": [0.1, 0.2]}))
    assert table["rank"].tolist() == [1, 1, 3]


def test_never_stays_never() -> None:
    """The median over seeds, where never is longer than anything."""
    trials = finals({"a": [0.9, 0.9, 0.5], "b": [0.9, 0.5, 0.5], "c": [0.9, 0.9, None]})
    table = ranked(trials, 0.8)
    np.testing.assert_equal(table["epochs_to_target"][["a", "b", "c"]].tolist(), [1, np.nan, 1])
    assert table.loc["a", "time_to_target_s"] == 2
    assert table["failed"][["a", "b", "c"]].tolist() == [0, 0, 1]


def test_sensitivity_comes_from_the_tuning_trials() -> None:
    trials = [*tuned("a", {0.1: 0.9, 0.2: 0.8, 0.4: 0.895}), *finals({"a": [0.9, 0.9]})]
    row = ranked(trials).loc["a"]
    assert row["lr_sensitivity"] == pytest.approx((0.2 + 0.4 + 0.21) / 3 - 0.2)
    assert row[["lr_width", "throughput_img_s"]].tolist() == [1, 1000]
    assert row["val_auc"] == pytest.approx(0.9)
