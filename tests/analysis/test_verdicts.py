"""The order never denies a verdict, and a verdict holds at its own level."""

import numpy as np
import pytest
from scipy import stats

from lrbench.analysis.verdicts import NOT_APART, best_first, judge, verdict


def test_nobody_stands_before_one_that_is_told_to_be_better() -> None:
    """The second beats the third and the fourth on seeds that the first lacks, the first loses to
    them on its own: more wins, and yet the first is better on every seed that both have."""
    nan = np.nan
    noise = np.linspace(-0.001, 0.001, 10)
    common = np.column_stack([0.95 + noise, 0.85 - noise, 0.95 + noise * nan, 0.95 + noise * nan])
    firsts = np.tile([0.5, nan, 0.51, 0.51], (6, 1)) + noise[:6, None] * [1, 0, -3, 4]
    seconds = np.tile([nan, 0.5, 0.49, 0.49], (6, 1)) + noise[:6, None] * [0, 1, -3, 4]
    values = np.vstack([common, firsts[:2], seconds[:2]])
    found = judge(values, 1e-4, 0.05, direction=1)
    assert found.better[0, 1] and found.wins[1] > found.wins[0]
    order = best_first(found, np.isfinite(values).sum(axis=0).astype(float))
    assert order.index(0) < order.index(1)


def test_no_interval_denies_the_verdict_next_to_it() -> None:
    """Told apart by the last step of the closed test, where the interval of all three pairs at once
    holds 0: it ends there."""
    noise = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    found = judge(np.column_stack([10 + 0.1 * noise, 5 - noise, 0.8 + noise * 0.8]), 0, 0.05, 1)
    wide = stats.t.ppf(1 - 0.05 / 6, 4) * stats.sem(4.2 - 1.8 * noise)
    assert found.better[1, 2] and 4.2 - wide < 0
    assert found.intervals.low[1, 2] == 0 and found.intervals.high[1, 2] == pytest.approx(
        4.2 + wide
    )


@pytest.mark.parametrize("gain", [0.1, -0.1])
def test_a_verdict_needs_its_own_level_and_no_more(gain: float) -> None:
    apart = "better" if gain > 0 else "worse"
    ps = [0.05, np.nextafter(0.05, 1), 0.09]
    assert [verdict(gain, p, 0.05) for p in ps] == [apart, NOT_APART, NOT_APART]
