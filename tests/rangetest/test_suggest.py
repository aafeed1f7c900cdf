import re
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.errors import UsageError
from lrbench.rangetest.rules import RULES
from lrbench.rangetest.suggest import suggest
from tests.rangetest.curves import TRUTH, decades, hill

LRS, LOSS = hill()
CLEAN = suggest(LRS, LOSS)
DRAWS = 100


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


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        (np.full(100, 2.3), "flat"),
        (np.full(100, 0.0), "flat"),
        (np.linspace(2.3, 2.7, 100) ** 3, "rising: .*lower --start-lr"),
        (np.full(100, np.nan), "diverged at once: .*the data and --loss"),
        (np.array([2.3, 2.3, 9.0, np.inf] + 96 * [1.0]), "diverged at once: .*--start-lr"),
        (1 + 0.1 * np.random.default_rng(0).standard_normal(100) + (LRS / 3) ** 4, "noise"),
        (np.linspace(1, 3, 100) + 0.2 * np.random.default_rng(0).standard_normal(100), "noise"),
        (2.3 - 2 * (LRS / LRS[-1]) ** 0.5, "edge"),
    ],
)
def test_where_nothing_was_learnt_there_is_no_answer(losses: np.ndarray, reason: str) -> None:
    answer = suggest(LRS, losses)
    assert (answer.grade, answer.lr, answer.lr_range) == ("none", None, None)
    assert re.match(reason, answer.reasons[0])
    assert set(answer.rules) == set(RULES.names()) and not any(answer.rules.values())


def fall(points: int = 100, top: float = 1.5, depth: float = 1.1) -> tuple[Any, Any]:
    """A fall about 1e-2, without a blow-up."""
    lrs = np.logspace(-6, 1, points)
    return lrs, top - depth / (1 + (0.01 / lrs) ** 2)


def power(lrs: Any) -> Any:
    return (lrs / 0.8) ** 4


def drawn(curve: tuple[Any, Any], blow_up: Any, sd: float, seeds: int, draws: int) -> Any:
    """The answers of some draws of normal noise about a curve that blows up."""
    lrs, loss = curve
    for draw in range(draws):
        noise = np.random.default_rng(draw).standard_normal((seeds, len(lrs)))
        yield suggest(lrs, loss + blow_up(lrs) + sd * noise)


@pytest.mark.parametrize(
    ("curve", "blow_up", "sd", "seeds", "least"),
    [
        (fall(), lambda lrs: 0 * lrs, 0.15, 1, 54),
        (fall(), lambda lrs: 30 * np.clip(np.log10(lrs) - 0.2, 0, None) ** 2, 0.15, 1, 54),
        (fall(50, 1.1, 0.6), power, 0.08, 1, 39),  # noise of a seventh of the fall, few points
        (fall(), power, 0.3, 3, 54),  # each seed hides it, and their mean shows it
    ],
)
def test_a_fall_in_noise_is_found_and_never_called_a_rise(
    curve: Any, blow_up: Any, sd: float, seeds: int, least: int
) -> None:
    found = list(drawn(curve, blow_up, sd, seeds, 60))
    assert sum(each.lr is not None for each in found) >= least
    assert not [each.reasons for each in found if "rising" in " ".join(each.reasons)]


def test_a_fall_that_each_seed_hides_in_noise_is_weak_in_their_mean() -> None:
    for answer in drawn(fall(), power, 0.3, 6, 20):
        assert answer.grade in ("weak", "none")
        if answer.lr is None:
            assert answer.reasons[0].startswith("noise") and "--seeds" in answer.reasons[0]
        else:
            assert decades(answer.lr, 0.01) < 0.7


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("seeds", [1, 3])
def test_noise_is_not_taken_for_learning(correlation: float, seeds: int) -> None:
    rng = np.random.default_rng(7)
    answers = 0
    for _ in range(100):
        noise = np.zeros((seeds, 340))
        for i in range(1, 340):
            noise[:, i] = correlation * noise[:, i - 1] + rng.standard_normal(seeds)
        answers += suggest(np.logspace(-6, 1, 140), noise[:, 200:]).lr is not None
    assert answers <= 5


@pytest.mark.parametrize("height", [-1e3, -1.0, 1.0, 1e3])
def test_one_spike_moves_it_by_a_quarter_decade_at_most(height: float) -> None:
    for spike in height * np.eye(100)[::3]:
        assert decades(suggest(LRS, LOSS + spike).lr, CLEAN.lr) <= 0.25


LINEAR = np.linspace(1e-4, 0.05, 200)


@pytest.mark.parametrize(
    ("lrs", "loss", "window"),
    [
        (*hill(50), 1.0),
        (*hill(400), 1.0),
        (*hill(150, -9, 3), 1.0),
        (LRS, noisy(0.02, 1), 0.5),
        (LRS, noisy(0.02, 2), 2.0),
        (LINEAR / 10, 2.3 - 2 / (1 + np.exp(-4 * (np.log10(LINEAR) + 2))), 1.0),  # read in log LR
    ],
)
def test_points_range_and_window_hardly_matter(lrs: Any, loss: Any, window: float) -> None:
    assert decades(suggest(lrs, loss, window=window).lr, CLEAN.lr) <= 0.2


@pytest.mark.parametrize("stop", [70, 80, 99])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_only_points_before_the_first_that_is_not_finite_count(stop: int, bad: float) -> None:
    broken = LOSS.copy()
    broken[stop] = bad
    broken[stop + 1 :] = -1e6
    whole, cut = suggest(LRS, broken), suggest(LRS, [LOSS[:stop]])
    assert whole.lr == cut.lr and whole.grade == cut.grade
    assert np.isnan(whole.smoothed[0][stop:]).all()


def test_what_a_loss_does_long_after_it_blew_up_says_nothing() -> None:
    """Peers' curves and `--whole-range` go on to losses of any size."""
    far = LOSS.copy()
    far[85:] = 10.0 ** np.arange(1, 16) ** 2
    assert decades(suggest(LRS, far).lr, CLEAN.lr) < 0.01
    rising = 0.65 * np.cumprod(np.geomspace(3, 3e4, 100))
    assert suggest(LRS, rising).reasons[0].startswith("rising")


@pytest.mark.parametrize("offset", [-2.3, -100.0, 1.0, 1e6])
def test_a_constant_added_to_the_loss_changes_nothing(offset: float) -> None:
    answer, plain = suggest(LRS, noisy(0.1, 5) + offset), suggest(LRS, noisy(0.1, 5))
    assert answer.lr == pytest.approx(plain.lr, rel=1e-9) and answer.grade == plain.grade
    assert answer.lr_range == plain.lr_range


def test_the_range_holds_the_fall() -> None:
    """On the logistic curve the loss has 10 % of its fall done, or left, ln 9 / 4 from 1e-3."""
    assert CLEAN.lr_range is not None
    ends = [TRUTH - np.log(9) / 4, TRUTH + np.log(9) / 4]
    assert np.log10(CLEAN.lr_range) == pytest.approx(ends, abs=0.12)


def test_several_seeds_give_the_median_and_a_band() -> None:
    curves = [hill()[1], np.roll(LOSS, 3), np.roll(LOSS, 6)]
    for curve in curves[1:]:
        curve[:6] = LOSS[0]
    answer = suggest(LRS, curves)
    alone = [suggest(LRS, curve).lr for curve in curves]
    assert answer.lr == alone[1]
    early = suggest(LRS, [LOSS, LOSS[:75], LOSS[:80]])
    assert early.lr == pytest.approx(CLEAN.lr)
    assert [len(row) for row in early.smoothed] == [100, 75, 80]
    assert answer.band is not None
    low, high = answer.band
    assert alone[0] < low < alone[1] < high < alone[2]
    assert np.log10(low) == pytest.approx(np.percentile(np.log10(alone), 10))


def test_a_curve_that_blows_up_where_it_falls_fastest_has_an_answer() -> None:
    """Where the range merely ends there, the fall may have only begun."""
    stop = int(np.searchsorted(LRS, 10**-2.85))
    answer = suggest(LRS, np.where(np.arange(100) < stop, LOSS, np.nan))
    assert answer.grade != "none" and decades(answer.lr, 10**TRUTH) < 0.3
    ended = suggest(LRS[:stop], LOSS[:stop])
    assert ended.grade == "none" and ended.reasons[0].startswith("edge")


FLAT = np.full(100, 2.3)
LATE = np.concatenate([np.full(20, LOSS[0]), LOSS[:-20]])
STOP = int(np.searchsorted(LRS, 10**-2.5))


@pytest.mark.parametrize(
    ("lrs", "losses", "grade", "reason"),
    [
        (LRS, [LOSS, LOSS, LATE], "weak", "seeds disagree: by"),
        (LRS, [LOSS, LOSS, FLAT], "weak", "seeds disagree: 1 of 3"),
        (LRS, [LOSS, FLAT, FLAT], "none", "flat"),
        (LRS, [LOSS, FLAT], "none", "flat"),
        (LRS[:STOP], LOSS[:STOP], "weak", "edge: .*raise --end-lr"),
        (*hill(16), "weak", "few points: "),
        (*hill(8), "none", "too few points: 8"),
    ],
)
def test_what_makes_an_answer_weak_or_none(lrs: Any, losses: Any, grade: str, reason: str) -> None:
    answer = suggest(lrs, losses)
    assert answer.grade == grade and any(re.match(reason, each) for each in answer.reasons)


@pytest.mark.parametrize(
    ("lrs", "losses", "word"),
    [
        ([1e-3], [1.0], "lrs: pass at least two"),
        ([1e-3, 1e-4, 1e-2], [1.0, 1.0, 1.0], "rising"),
        ([0.0, 1e-4, 1e-2], [1.0, 1.0, 1.0], "above 0"),
        ([1e-4, 1e-3, np.nan], [1.0, 1.0, 1.0], "finite"),
        ([[1e-3, 1e-2]], [1.0, 1.0], "lrs: pass at least two"),
        (["a", "b"], [1.0, 1.0], "lrs: pass numbers"),
        ([1e-4, 1e-3], [], "one curve of 2 numbers, or several"),
        ([1e-4, 1e-3], 1.0, "one curve of 2 numbers"),
        ([1e-4, 1e-3], [1.0 + 1j, 2.0], "losses: pass numbers"),
        ([1e-4, 1e-3], [1.0, [1.0, 2.0]], "one curve of 2 numbers"),
        ([1e-4, 1e-3], [1.0], "one curve of 2 numbers"),
        ([1e-4, 1e-3], np.ones((2, 3)), "one curve of 2 numbers"),
        ([1e-4, 1e-3], np.ones((2, 2, 2)), "one curve of 2 numbers"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(lrs: Any, losses: Any, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        suggest(lrs, losses)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("window", [0.0, -1.0, np.nan, np.inf])
def test_a_window_without_a_width_is_refused(window: float) -> None:
    with pytest.raises(UsageError, match=r"^window"):
        suggest(LRS, LOSS, window=window)


def test_tensors_are_read_like_arrays() -> None:
    losses = torch.tensor(LOSS, requires_grad=True)
    assert suggest(torch.tensor(LRS), losses).lr == CLEAN.lr
    assert suggest(LRS, list(losses)).lr == CLEAN.lr
    assert suggest(LRS, torch.stack([losses, losses])).lr == CLEAN.lr
