"""What the statistics promise, simulated: the script that makes the committed tables, in small."""

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
