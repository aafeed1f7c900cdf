"""How often the ranking claims a difference where there is none, and finds one where there is."""

import numpy as np
import pytest

from lrbench.analysis import Question, rank
from lrbench.analysis.corrections import Floats
from lrbench.analysis.standing import Standing, standings
from tests.analysis.made import trials_of

QUESTION = Question(test_size=1000)
EQUAL = np.full(10, 0.004)
PAIRS = np.triu_indices(10, 1)


def drawn(rng: np.random.Generator, sds: Floats, seeds: int, lead: float = 0) -> Standing:
    """Ten schedules on 1,000 images, the first ahead by `lead`, with a common luck of each seed."""
    values = rng.normal(0.95, 0.005, (seeds, 1)) + rng.normal(0, 1, (seeds, 10)) * sds
    values[:, 0] += lead
    trials = trials_of(np.round(values * 1000) / 1000)
    (standing,) = standings(trials, QUESTION)
    table = rank(trials, QUESTION)
    assert (table["rank_low"] > 1).any() == (standing.verdicts.adjusted[PAIRS] <= 0.05).any()
    return standing


@pytest.mark.parametrize("sds", [EQUAL, np.geomspace(0.001, 0.01, 10)], ids=["equal", "unequal"])
def test_false_claims_are_rare(sds: Floats) -> None:
    rng = np.random.default_rng(3)
    found = [drawn(rng, sds, 4).verdicts for _ in range(60)]
    claims = np.array([each.adjusted[PAIRS] <= 0.05 for each in found])
    assert claims.mean() <= 0.01 and claims.any(axis=1).mean() <= 0.1
    # The uncorrected tests are not so timid that the correction has nothing to do.
    assert 0.02 < np.mean([each.pairs.p[PAIRS] < 0.05 for each in found]) < 0.08


def test_large_differences_are_found() -> None:
    rng = np.random.default_rng(5)
    found = [drawn(rng, EQUAL, 5, lead=0.004 * 4 * 2**0.5) for _ in range(20)]
    firsts = [(each.names.index("s0"), each.verdicts.better) for each in found]
    assert np.mean([better[place].sum() / 9 for place, better in firsts]) > 0.4
