"""The noise floor of one schedule against scipy, and what is said of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis import Question, summarise
from lrbench.analysis.evidence import power_of
from lrbench.analysis.noise import sd_range
from lrbench.options import Recipe
from tests.analysis.made import finals

VALUES = np.random.default_rng(0).normal(0.97, 0.004, 8)
ONE = {"cosine": [float(value) for value in VALUES]}


def test_the_interval_of_an_sd_is_chi_squareds() -> None:
    ends = np.sqrt(7 / stats.chi2.ppf([0.975, 0.025], 7))
    assert sd_range(1.0, 8) == pytest.approx(tuple(ends))


def test_a_single_schedule_has_a_table_of_what_is_found() -> None:
    summary = summarise(finals(dict(ONE)), Question(("cosine",), test_size=1000))
    sd = math.sqrt(2) * VALUES.std(ddof=1)
    for row in summary.noise.itertuples():
        assert power_of(row.difference, sd, row.seeds, 0.05) == pytest.approx(0.8, abs=0.001)
    binomial = VALUES.mean() * (1 - VALUES.mean()) / 1000
    share = 100 * min(1, binomial / VALUES.var(ddof=1))
    assert (
        f"Up to {share:.0f} % of this variance may come from testing on 1,000 images"
        in summary.certainty
    )
    assert f"{100 * VALUES.std(ddof=1):.1f} points" in summary.certainty
    assert "with 10" in summary.certainty


@pytest.mark.parametrize("values", [{"cosine": [0.9]}, {"a": [0.9, 0.8], "b": [0.8, 0.9]}])
def test_there_is_none_of_one_seed_or_of_several_schedules(values: dict[str, list[float]]) -> None:
    summary = summarise(finals({name: list(v) for name, v in values.items()}), Question())
    assert not len(summary.noise) and "The sd over" not in summary.certainty


def test_of_several_rankings_the_noise_of_the_first_is_told_and_named() -> None:
    """Of two lengths, and again of two batch sizes."""
    few = [float(value) for value in VALUES[:4]]
    short = finals({"cosine": few}, epochs=1)
    wide = [
        replace(each, spec=each.spec.model_copy(update={"recipe": Recipe(batch_size=256)}))
        for each in finals({"cosine": few})
    ]
    for place, others in (("For 2 epochs", short), ("With batch 128", wide)):
        summary = summarise([*finals(dict(ONE)), *others], Question(("cosine",), test_size=1000))
        assert len(summary.standings) == 2
        assert summary.certainty.startswith(f"{place}: The sd over 8 seeds")
        assert summary.certainty.count("with 10") == 1
