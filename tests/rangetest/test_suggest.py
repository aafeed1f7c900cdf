from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.errors import UsageError
from lrbench.rangetest.grade import Reason
from lrbench.rangetest.rules import RULES
from lrbench.rangetest.suggest import suggest
from tests.rangetest.curves import TRUTH, decades, hill

LRS, LOSS = hill()
CLEAN = suggest(LRS, LOSS)
DRAWS = 200


def noisy(sd: float, seed: int) -> np.ndarray:
    return LOSS + sd * np.random.default_rng(seed).standard_normal(len(LOSS))


def test_a_clean_curve_gives_the_steepest_descent() -> None:
    assert CLEAN.grade == "ok" and CLEAN.reasons == ()
    assert decades(CLEAN.lr, 10**TRUTH) < 0.05
    assert CLEAN.band is None  # one seed has no spread


@pytest.mark.parametrize("sd", [0.05, 0.2])
def test_noise_moves_the_answer_little(sd: float) -> None:
    answers = [suggest(LRS, noisy(sd, draw)) for draw in range(DRAWS)]
    silent = sum(answer.grade == "none" for answer in answers)
    off = np.log10([answer.lr for answer in answers if answer.lr]) - TRUTH
    assert silent < 0.05 * DRAWS
    assert abs(np.median(off)) <= 0.25
    assert np.subtract(*np.percentile(off, [95, 5])) <= 0.5
    assert np.abs(off).max() <= 1


def test_strong_noise_at_the_ends_is_not_taken_for_a_descent() -> None:
    answers = [suggest(LRS, noisy(0.3, draw)).lr for draw in range(DRAWS)]
    assert max(decades(lr, 10**TRUTH) for lr in answers if lr is not None) <= 1


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        (np.full(100, 2.3), "flat"),
        (np.full(100, -7.0), "flat"),
        (np.full(100, 0.0), "flat"),
        (np.linspace(2.3, 2.7, 100) ** 3, "rising"),
        (np.full(100, np.nan), "diverged at once"),
        (np.array([2.3, 2.3, 9.0, np.inf] + 96 * [1.0]), "diverged at once"),
        (2.3 - 2 * (LRS / LRS[-1]) ** 0.5, "edge"),
    ],
)
def test_where_nothing_was_learnt_there_is_no_answer(losses: np.ndarray, reason: str) -> None:
    answer = suggest(LRS, losses)
    assert answer.grade == "none" and answer.lr is None and answer.lr_range is None
    assert answer.reasons[0].startswith(reason)
    assert set(answer.rules) == set(RULES.names()) and not any(answer.rules.values())


def test_the_advice_is_one_that_helps() -> None:
    rising = np.linspace(2.3, 2.7, 100) ** 3
    assert "lower --start-lr" in suggest(LRS, rising).reasons[0]
    linear = np.linspace(LRS[0], LRS[-1], 100)
    assert "lower --end-lr, or use --mode exp" in suggest(linear, rising).reasons[0]
    assert "--start-lr" in suggest(LRS, [[2.3, 2.3, 9.0, np.inf]]).reasons[0]
    assert "the data and --loss" in suggest(LRS, [[np.nan], [np.inf]]).reasons[0]


def test_a_fall_that_each_seed_hides_in_noise_shows_in_their_mean() -> None:
    lrs = np.logspace(-6, 1, 100)
    curve = 1.5 - 1.1 / (1 + (0.01 / lrs) ** 2) + (lrs / 0.8) ** 4
    for draw in range(20):
        rng = np.random.default_rng(draw)
        answer = suggest(lrs, curve + 0.3 * rng.standard_normal((6, 100)))
        assert answer.grade in ("weak", "none")
        if answer.lr is None:
            assert answer.reasons[0].startswith("noise") and "--seeds" in answer.reasons[0]
        else:
            assert decades(answer.lr, 0.01) < 0.7
    found = [
        suggest(lrs, curve + 0.3 * np.random.default_rng(draw).standard_normal((3, 100))).lr
        for draw in range(50)
    ]
    assert sum(lr is None for lr in found) <= 5


def test_noise_that_blows_up_late_is_not_called_rising() -> None:
    loss = 1 + 0.1 * np.random.default_rng(0).standard_normal(100) + (LRS / 3) ** 4
    assert suggest(LRS, loss).reasons[0].startswith("noise")


@pytest.mark.parametrize("correlation", [0.5, 0.8])
@pytest.mark.parametrize("seeds", [1, 3])
def test_autocorrelated_noise_is_not_taken_for_learning(correlation: float, seeds: int) -> None:
    rng = np.random.default_rng(7)
    answers = 0
    for _ in range(100):
        noise = np.zeros((seeds, 340))
        for i in range(1, 340):
            noise[:, i] = correlation * noise[:, i - 1] + rng.standard_normal(seeds)
        answers += suggest(np.logspace(-6, 1, 140), noise[:, 200:]).lr is not None
    assert answers <= 5


def test_a_loss_that_rises_in_noise_gives_no_answer() -> None:
    rng = np.random.default_rng(0)
    grades = [
        suggest(LRS, np.linspace(1, 3, 100) + 0.2 * rng.standard_normal(100)).grade
        for _ in range(DRAWS)
    ]
    assert Counter(grades) == {"none": DRAWS}


@pytest.mark.parametrize("shape", ["normal", "laplace", "seeds"])
def test_pure_noise_gives_no_answer(shape: str) -> None:
    rng = np.random.default_rng(3)
    draw = {
        "normal": lambda: rng.standard_normal(100),
        "laplace": lambda: rng.laplace(size=100),
        "seeds": lambda: rng.standard_normal((3, 100)),
    }[shape]
    silent = sum(suggest(LRS, draw()).grade == "none" for _ in range(DRAWS))
    assert silent >= 0.95 * DRAWS


@pytest.mark.parametrize("place", range(0, 100, 3))
@pytest.mark.parametrize("height", [-1e3, -1.0, 1.0, 1e3])
def test_one_spike_moves_it_by_a_quarter_decade_at_most(place: int, height: float) -> None:
    spiked = LOSS.copy()
    spiked[place] += height
    assert decades(suggest(LRS, spiked).lr, CLEAN.lr) <= 0.25


@pytest.mark.parametrize("stop", [70, 80, 99])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_only_points_before_the_first_that_is_not_finite_count(stop: int, bad: float) -> None:
    broken = LOSS.copy()
    broken[stop] = bad
    broken[stop + 1 :] = -1e6
    whole, cut = suggest(LRS, broken), suggest(LRS, [LOSS[:stop]])
    assert whole.lr == cut.lr and whole.grade == cut.grade
    assert np.isnan(whole.smoothed[0][stop:]).all()


@pytest.mark.parametrize("offset", [-2.3, -100.0, 1.0, 1e6])
def test_a_constant_added_to_the_loss_changes_nothing(offset: float) -> None:
    answer, plain = suggest(LRS, noisy(0.1, 5) + offset), suggest(LRS, noisy(0.1, 5))
    assert answer.lr == pytest.approx(plain.lr, rel=1e-9) and answer.grade == plain.grade
    assert answer.lr_range == plain.lr_range


@pytest.mark.parametrize("scale", [1e-3, 0.1, 7.0, 1e5])
def test_a_scaled_loss_over_a_scaled_range_scales_the_answer(scale: float) -> None:
    answer, plain = suggest(LRS / scale, noisy(0.1, 5) * scale), suggest(LRS, noisy(0.1, 5))
    assert answer.lr == pytest.approx(plain.lr / scale, rel=1e-9)
    assert answer.grade == plain.grade


@pytest.mark.parametrize("points", [50, 200, 400])
def test_more_points_do_not_move_it(points: int) -> None:
    assert decades(suggest(*hill(points)).lr, CLEAN.lr) <= 0.2


@pytest.mark.parametrize("points", [100, 150])
def test_a_wider_range_does_not_move_it(points: int) -> None:
    assert decades(suggest(*hill(points, -9, 3)).lr, CLEAN.lr) <= 0.2


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("window", [0.5, 2.0])
def test_the_window_hardly_matters(window: float, seed: int) -> None:
    wide = suggest(LRS, noisy(0.02, seed), window=window)
    assert decades(wide.lr, suggest(LRS, noisy(0.02, seed)).lr) <= 0.15


def test_the_range_holds_the_fall() -> None:
    """On the logistic curve the loss has 10 % of its fall done, or left, ln 9 / 4 from 1e-3."""
    assert CLEAN.lr_range is not None
    low, high = np.log10(CLEAN.lr_range)
    assert low == pytest.approx(TRUTH - np.log(9) / 4, abs=0.12)
    assert high == pytest.approx(TRUTH + np.log(9) / 4, abs=0.12)


def test_several_seeds_give_the_median_and_a_band() -> None:
    curves = [hill()[1], np.roll(LOSS, 3), np.roll(LOSS, 6)]
    for curve in curves[1:]:
        curve[:6] = LOSS[0]
    answer = suggest(LRS, curves)
    alone = [suggest(LRS, curve).lr for curve in curves]
    assert answer.lr == alone[1]
    assert answer.band is not None
    low, high = answer.band
    assert alone[0] < low < alone[1] < high < alone[2]
    assert np.log10(low) == pytest.approx(np.percentile(np.log10(alone), 10))


def test_curves_may_end_early_each_where_it_will() -> None:
    answer = suggest(LRS, [LOSS, LOSS[:75], LOSS[:80]])
    assert answer.lr == pytest.approx(CLEAN.lr)
    assert [len(row) for row in answer.smoothed] == [100, 75, 80]


def test_seeds_that_disagree_make_it_weak() -> None:
    moved = np.concatenate([np.full(20, LOSS[0]), LOSS[:-20]])
    answer = suggest(LRS, [LOSS, LOSS, moved])
    assert answer.grade == "weak" and "seeds disagree" in answer.reasons[0]


def test_the_majority_of_seeds_decides() -> None:
    flat = np.full(100, 2.3)
    assert suggest(LRS, [LOSS, LOSS, flat]).grade == "weak"
    assert suggest(LRS, [LOSS, flat, flat]).grade == "none"
    assert suggest(LRS, [LOSS, flat]).grade == "none"


def test_a_minimum_at_the_end_of_the_range_is_weak() -> None:
    stop = int(np.searchsorted(LRS, 10**-2.5))
    answer = suggest(LRS[:stop], LOSS[:stop])
    assert answer.grade == "weak" and "raise --end-lr" in answer.reasons[0]


def test_a_curve_that_blows_up_where_it_falls_fastest_has_an_answer() -> None:
    """Where the range merely ends there, the fall may have only begun."""
    stop = int(np.searchsorted(LRS, 10**-2.85))
    broken = LOSS.copy()
    broken[stop:] = np.nan
    answer = suggest(LRS, broken)
    assert answer.grade != "none" and decades(answer.lr, 10**TRUTH) < 0.3
    ended = suggest(LRS[:stop], LOSS[:stop])
    assert ended.grade == "none" and ended.reasons[0].startswith("edge")


def test_few_points_are_weak_and_very_few_none() -> None:
    assert suggest(*hill(16)).grade == "weak"
    assert suggest(*hill(8)).grade == "none"


def test_linear_grids_are_read_in_log_lr() -> None:
    lrs = np.linspace(1e-4, 5e-2, 200)
    loss = 2.3 - 2 / (1 + np.exp(-4 * (np.log10(lrs) + 2)))
    assert decades(suggest(lrs, loss).lr, 1e-2) < 0.2


@pytest.mark.parametrize(
    ("lrs", "losses", "word"),
    [
        ([1e-3], [1.0], "at least two"),
        ([1e-3, 1e-4, 1e-2], [1.0, 1.0, 1.0], "rising"),
        ([0.0, 1e-4, 1e-2], [1.0, 1.0, 1.0], "above 0"),
        ([1e-4, 1e-3, np.nan], [1.0, 1.0, 1.0], "finite"),
        ([1e-3, 1e-2, -1e-1], [1.0, 1.0, 1.0], "above 0"),
        ([[1e-3, 1e-2]], [1.0, 1.0], r"lrs: .*shape \(1, 2\)"),
        (1e-3, [1.0], "lrs: .*at least two"),
        (["a", "b"], [1.0, 1.0], "lrs: pass numbers"),
        ("ab", [1.0, 1.0], "lrs: pass numbers"),
        ([1e-4, 1e-3], [1.0, 1.0, 1.0], "3 points, for 2"),
        ([1e-4, 1e-3], [1.0], "1 points, for 2"),
        ([1e-4, 1e-3], [], "one curve or several"),
        ([1e-4, 1e-3], 1.0, "losses: pass numbers"),
        ([1e-4, 1e-3], "12", "losses: pass numbers"),
        ([1e-4, 1e-3], ["low", "high"], "losses: pass numbers"),
        ([1e-4, 1e-3], [1.0 + 1j, 2.0], "losses: pass numbers"),
        ([1e-4, 1e-3], [1.0, [1.0, 2.0]], "mixed"),
        ([1e-4, 1e-3], np.ones((2, 3)), "3 points, for 2"),
        ([1e-4, 1e-3], np.ones((2, 1)), "1 points, for 2"),
        ([1e-4, 1e-3], np.ones((2, 2, 2)), r"shape \(2, 2\)"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_in_one_line(
    lrs: Any, losses: Any, word: str
) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        suggest(lrs, losses)
    assert "\n" not in str(caught.value)


def test_tensors_are_read_like_arrays() -> None:
    losses = torch.tensor(LOSS, requires_grad=True)
    assert suggest(torch.tensor(LRS), losses).lr == CLEAN.lr
    assert suggest(LRS, list(losses)).lr == CLEAN.lr
    assert suggest(LRS, torch.stack([losses, losses])).lr == CLEAN.lr


@pytest.mark.parametrize("window", [0.0, -1.0, np.nan, np.inf])
def test_a_window_must_have_a_width(window: float) -> None:
    with pytest.raises(UsageError, match=r"^window"):
        suggest(LRS, LOSS, window=window)


def test_an_unknown_rule_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean steepest"):
        suggest(LRS, LOSS, rule="stepest")


def test_a_grid_of_a_few_points_is_called_that() -> None:
    found = suggest([1e-3, 1e-2, 1e-1], [1.0, 0.9, 0.8])
    assert found.lr is None and found.reasons[0].startswith("too few points: 3")


def test_a_reason_names_the_option_to_change_as_data() -> None:
    lrs, loss = np.logspace(-6, 1, 100), np.full(100, 2.3)
    (reason,) = suggest(lrs, loss).reasons
    assert isinstance(reason, Reason)
    assert (reason.option, reason.factor) == ("end_lr", 100.0)
