import numpy as np
import pytest

from lrbench.rangetest.curve import despike, noise_sd, read_curve, running_median, smooth
from lrbench.rangetest.rules import RULES
from lrbench.rangetest.suggest import suggest
from tests.rangetest.curves import hill

U = np.linspace(-6, 1, 100)


def test_a_large_offset_costs_no_digits() -> None:
    y = np.sin(U)
    far, near = smooth(U, y + 1e9, 1.0), smooth(U, y, 1.0)
    assert far.slope == pytest.approx(near.slope, abs=1e-6)
    assert far.value - 1e9 == pytest.approx(near.value, abs=1e-6)


def test_the_gains_are_the_standard_errors_of_noise() -> None:
    rng = np.random.default_rng(0)
    fits = [smooth(U, rng.standard_normal(100), 1.0) for _ in range(400)]
    assert np.std([f.value for f in fits], axis=0) == pytest.approx(fits[0].value_gain, rel=0.2)
    assert np.std([f.slope for f in fits], axis=0) == pytest.approx(fits[0].slope_gain, rel=0.2)


def test_a_monotone_blow_up_is_kept() -> None:
    y = np.exp(U)
    assert running_median(y)[2:-2] == pytest.approx(y[2:-2])
    assert despike(y)[2:-2] == pytest.approx(y[2:-2])


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_noise_is_measured_also_where_it_is_alike_from_step_to_step(rho: float) -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(2000)
    for i in range(1, len(noise)):
        noise[i] = rho * noise[i - 1] + np.sqrt(1 - rho**2) * noise[i]
    assert noise_sd(noise, np.zeros(2000)) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("points", [4, 30, 1500])
def test_it_is_local_regression_point_by_point(points: int) -> None:
    """Against numpy's weighted polynomial fits, on an uneven grid; many points go in blocks."""
    rng = np.random.default_rng(points)
    u, y = np.sort(rng.uniform(-6, 1, points)), rng.standard_normal(points)
    fit = smooth(u, y, 1.0)
    for i in range(0, points, max(1, points // 10)):
        distance = np.abs(u - u[i])
        half = max(0.5, 1.001 * np.sort(distance)[min(6, points - 1)])
        root = np.sqrt(np.clip(1 - (distance / half) ** 3, 0, None) ** 3)
        assert np.polyfit(u - u[i], y, 2, w=root)[2] == pytest.approx(fit.value[i], abs=1e-6)
        assert np.polyfit(u - u[i], y, 1, w=root)[0] == pytest.approx(fit.slope[i], abs=1e-6)


LRS, LOSS = hill()
# The loss is lowest where 8 e^4(u+3)-ish terms meet: at 10^-1, up to the logistic's tail.
MINIMUM = -1.0


def read(name: str, loss: np.ndarray = LOSS) -> float:
    curve = read_curve(LRS, loss, 1.0)
    assert curve is not None
    return RULES.get(name).make(curve)


def test_every_rule_names_its_source() -> None:
    assert all("Source:" in (rule.make.__doc__ or "") for rule in RULES)


def test_minimum_is_a_tenth_of_the_lowest() -> None:
    assert read("minimum") == pytest.approx(MINIMUM - 1, abs=0.15)


def test_valley_and_slide_are_in_the_middle_of_the_fall() -> None:
    assert -4 < read("slide") < MINIMUM
    loss = np.where(LRS < 1e-4, 2.3, LOSS)
    assert read("valley", loss) == pytest.approx((-4 + MINIMUM) / 2, abs=0.4)


@pytest.mark.parametrize("name", RULES.names())
@pytest.mark.parametrize(("scale", "offset"), [(10.0, 0.0), (1.0, -50.0)])
def test_rules_do_not_depend_on_the_unit_of_the_loss(
    name: str, scale: float, offset: float
) -> None:
    assert read(name, scale * LOSS + offset) == pytest.approx(read(name))
    answer = suggest(LRS, LOSS, rule=name)
    assert answer.lr == answer.rules[name] == pytest.approx(10 ** read(name))


@pytest.mark.parametrize("name", RULES.names())
def test_what_a_wrecked_network_does_after_the_blow_up_says_nothing(name: str) -> None:
    rng = np.random.default_rng(0)
    wrecked = LOSS.copy()
    wrecked[LRS > 0.3] = 2.3 + 0.1 * rng.standard_normal(int((LRS > 0.3).sum()))
    assert read(name, wrecked) == pytest.approx(read(name), abs=0.3)
