"""What the statistics promise, simulated: the script that makes the committed tables, in small."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "statistics" / "measure.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="benchmarks/ is not part of an sdist")


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure"] = module
    spec.loader.exec_module(module)
    return module


def result(
    measure: ModuleType, table: str, key: tuple[object, ...], repetitions: int
) -> dict[str, float]:
    return dict(measure.run(measure.Job(table, key, repetitions))[1])


def test_a_tiny_null_makes_few_claims_and_none_that_its_intervals_deny(measure: ModuleType) -> None:
    found = result(measure, "test", ("normal", "equal", 4, 5), 150)
    assert found["all pairs false"] <= 0.11
    assert found["contradicted"] == 0


def test_a_tiny_race_saves_trainings(measure: ModuleType) -> None:
    found = result(measure, "race", ("race", "MNIST", "lead 2", 6), 40)
    assert found["wins"] >= 0.9 and found["trainings"] < 75 and found["false"] <= 0.1


def test_a_tiny_choice_beats_the_best_mean(measure: ModuleType) -> None:
    pooled, best = (
        result(measure, "choice", (rule, "A", 2), 60) for rule in ("pooled", "best mean")
    )
    assert pooled["regret"] < best["regret"] / 1.5
    assert pooled["apart"] < best["apart"]


@pytest.mark.soak
@pytest.mark.parametrize(
    ("world", "regret", "apart"), [("A", 1.2, 0.07), ("B", 2.0, 0.12), ("C", 0.015, 0.08)]
)
def test_choice_reaches_its_bars(
    measure: ModuleType, world: str, regret: float, apart: float
) -> None:
    repetitions = 1500
    found = result(measure, "choice", ("pooled", world, 2), repetitions)
    assert found["regret"] <= regret + 3 * found["±"]
    assert found["apart"] <= apart + 3 * (apart / repetitions) ** 0.5


@pytest.mark.soak
@pytest.mark.parametrize("noise", ["normal", "MNIST", "t3"])
def test_racing_keeps_its_error(measure: ModuleType, noise: str) -> None:
    found = result(measure, "race", ("race", noise, "equal", 6), 1500)
    assert found["false"] <= 0.055 + 3 * (0.05 / 1500) ** 0.5


@pytest.mark.soak
def test_all_pairs_keep_their_error_and_find_more_than_holm(measure: ModuleType) -> None:
    for noise in ("normal", "MNIST", "t3"):
        found = result(measure, "test", (noise, "blocks", 6, 5), 1500)
        assert found["all pairs false"] <= 0.063 + 3 * (0.05 / 1500) ** 0.5
    lead = result(measure, "test", ("MNIST", "lead 2", 6, 5), 1500)
    assert lead["all pairs power"] >= lead["Holm power"] + 0.05
