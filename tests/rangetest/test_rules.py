import numpy as np
import pytest

from lrbench.rangetest.curve import read_curve
from lrbench.rangetest.rules import RULES
from lrbench.rangetest.suggest import suggest
from tests.rangetest.curves import hill

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
